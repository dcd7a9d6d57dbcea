/** When the pictures are taken: Saturday, 14 March 2026, 10:26 UTC. */
export const NOW = 1_773_483_960;
