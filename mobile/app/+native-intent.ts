/** Links that Android hands over: invites and contacts lead to their screens, anything else to the beginning. */
export function redirectSystemPath({ path }: { readonly path: string; readonly initial: boolean }): string {
  if (/^sottovoce:(\/\/)?contact#/.test(path)) return `/add?link=${encodeURIComponent(path.replace('sottovoce://', 'sottovoce:'))}`;
  // The page behind an invite makes the first; the second is the invite itself.
  if (/^(?:sottovoce:\/\/join\/?#|https:\/\/\S+\/join#)\S+$/.test(path)) return `/join?link=${encodeURIComponent(path)}`;
  return '/';
}
