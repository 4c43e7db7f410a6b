/** What JSON can carry. Arrays and objects are read-only: a value that crossed a border is never changed in place. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

export type JsonObject = { readonly [key: string]: Json };
