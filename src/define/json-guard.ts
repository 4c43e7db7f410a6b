/** The compile-time half of the JSON rule: what the types show to be no JSON is refused where the function is written. */

/** What an output may be at the top: nothing at all is allowed there, and only there. */
type Scalar = string | number | boolean | null;

/** Objects that JSON drops or changes without a word. */
type NeverJson =
  | Date
  | RegExp
  | ReadonlyMap<unknown, unknown>
  | ReadonlySet<unknown>
  | WeakMap<WeakKey, unknown>
  | WeakSet<WeakKey>
  | ArrayBufferView
  | ArrayBufferLike
  | PromiseLike<unknown>
  | bigint
  | symbol
  | ((...args: never) => unknown);

/** By its `stack`: plain data may well have a name and a message. */
type IsError<T> = T extends Error ? ('stack' extends keyof T ? true : false) : false;

/** How deep the types are followed. Recursive types are common; the run time checks the rest. */
type Deeper<D extends readonly unknown[]> = readonly [...D, unknown];

/** `never` when `T` is JSON as far as its type tells, else the readable path of the first offenders. */
export type NotJson<T, P extends string = 'output'> = NotJsonInside<Exclude<T, undefined | void>, P, readonly []>;

type NotJsonInside<T, P extends string, D extends readonly unknown[]> = [T] extends [never]
  ? never
  : unknown extends T
    ? never
    : D['length'] extends 7
      ? never
      : T extends Scalar
        ? never
        : T extends undefined | void
          ? `${P} (may be undefined)`
          : T extends NeverJson
            ? P
            : IsError<T> extends true
            ? P
            : T extends readonly (infer U)[]
              ? NotJsonInside<U, `${P}[]`, Deeper<D>>
              : T extends object
                ? { [K in keyof T]-?: K extends string | number ? NotJsonInside<Present<T, K>, `${P}.${K}`, Deeper<D>> : `${P} (symbol key)` }[keyof T]
                : never;

/** An optional property may be absent, so `undefined` in its type says nothing against it. */
type Present<T, K extends keyof T> = undefined extends T[K] ? (unknown extends T[K] ? T[K] : {} extends Pick<T, K> ? Exclude<T[K], undefined> : T[K]) : T[K];

/** Added to a function's type: accepts it unchanged, or demands a property whose name is the message. */
export type JsonGuard<R, What extends string = 'task output'> = [NotJson<R>] extends [never]
  ? unknown
  : { readonly [K in `${What} is not JSON at: ${NotJson<R>}`]: never };
