/** What is the same in every language: forms of links, and names of programs. */
export const EXAMPLES = { invite: 'https://…/join#c=…&t=…', contact: 'sottovoce:contact#…' } as const;

export const PROGRAMS = { libsignal: 'libsignal', android: 'Android' } as const;
