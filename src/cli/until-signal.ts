/** How commands end that go on until someone ends them. */
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Resolves with the first signal; a second one ends the process. */
export function untilSignal(process: NodeJS.Process): Promise<void> {
  return new Promise((resolve) => {
    const heard = (): void => {
      for (const signal of signals) process.off(signal, heard);
      resolve();
    };
    for (const signal of signals) process.on(signal, heard);
  });
}
