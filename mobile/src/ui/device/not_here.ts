/** A part of the machine that is not there: screens say so. */
export class NotHere extends Error {
  readonly code = 'not_here';
}

export const notHere = (): Promise<never> => Promise.reject(new NotHere('not on this machine'));
