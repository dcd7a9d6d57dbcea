/** A browser has all of it. */
export {};
