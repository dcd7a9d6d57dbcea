/** Links that Android hands over: invites and contacts lead to their screens, anything else to the beginning. */
export function redirectSystemPath({ path }: { readonly path: string; readonly initial: boolean }): string {
  if (/^sottovoce:(\/\/)?contact#/.test(path)) return `/add?link=${encodeURIComponent(path.replace('sottovoce://', 'sottovoce:'))}`;
  const invite = /^(?:sottovoce:\/\/join\?link=(.+)|(https:\/\/\S+\/join#\S+))$/.exec(path);
  if (invite) return `/join?link=${invite[1] ?? encodeURIComponent(invite[2] ?? '')}`;
  return '/';
}
