/** stdout belongs to the result: what tasks write to the console goes to stderr, apart from what is drawn there. */
import { Console } from 'node:console';
import { Writable } from 'node:stream';

export interface ConsoleTarget {
  print: (text: string) => void;
}

/** From now on `console.log` and its kin write to `target.print`. */
export function redirectConsole(target: ConsoleTarget): void {
  const sink = new Writable({
    decodeStrings: false,
    write(text, _encoding, done) {
      target.print(String(text));
      done();
    },
  });
  globalThis.console = new Console({ stdout: sink, stderr: sink });
}
