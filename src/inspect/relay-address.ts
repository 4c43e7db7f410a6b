/** The address of the relay, if the environment names one. */
export function relayFromEnvironment(): string | undefined {
  const { env } = (globalThis as { readonly process?: { readonly env?: Readonly<Record<string, string | undefined>> } }).process ?? {};
  const url = env?.['TASKCHART_INSPECT'];
  return url === undefined || url === '' ? undefined : url;
}
