/** A browser has no mailbox service. */
export {};
