/** Before every file of component tests. */
export {};
