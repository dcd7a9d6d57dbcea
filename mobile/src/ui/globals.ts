/** What Hermes lacks and the core's packages expect of a JavaScript engine, from the operating system. Loaded before anything else. */
import { getRandomValues } from 'expo-crypto';

// expo-crypto asks java.security.SecureRandom; without this @noble would refuse to make a key.
globalThis.crypto ??= {} as Crypto;
globalThis.crypto.getRandomValues ??= getRandomValues as Crypto['getRandomValues'];
