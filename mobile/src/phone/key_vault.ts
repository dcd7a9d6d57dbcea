/**
 * Secrets in the Android Keystore, through react-native-keychain: AES-GCM with a key that never leaves the secure hardware, in a
 * StrongBox where there is one. Without asking anybody, since mail is received while the phone lies locked. Never its RSA storage,
 * which pads by PKCS #1 version 1.5.
 */
import { fromBase64url, toBase64url } from '../core/bytes.ts';
import type { KeyVault } from '../core/ports.ts';

/** The part of react-native-keychain that is used here. */
export interface Keychain {
  readonly STORAGE_TYPE: { readonly AES_GCM_NO_AUTH: string };
  readonly SECURITY_LEVEL: { readonly SECURE_HARDWARE: unknown; readonly SECURE_SOFTWARE: unknown };
  getGenericPassword(options: object): Promise<false | { readonly password: string; readonly storage: string }>;
  setGenericPassword(username: string, password: string, options: object): Promise<unknown>;
}

const service = (name: string): string => `org.sottovoce.${name}`;

export function phoneKeyVault(keychain: Keychain): KeyVault {
  const storage = keychain.STORAGE_TYPE.AES_GCM_NO_AUTH;
  const put = async (name: string, value: Uint8Array, securityLevel: unknown): Promise<void> => {
    const done = await keychain.setGenericPassword(name, toBase64url(value), { service: service(name), storage, securityLevel });
    if (!done) throw new Error('the Keystore stored nothing');
  };
  return {
    /** Null only when there is none. What cannot be read is a fault: a new secret in its place would lose the old one for good. */
    async get(name) {
      const found = await keychain.getGenericPassword({ service: service(name), storage });
      return found ? fromBase64url(found.password, 'keychain') : null;
    },
    async put(name, value) {
      try {
        await put(name, value, keychain.SECURITY_LEVEL.SECURE_HARDWARE);
      } catch {
        await put(name, value, keychain.SECURITY_LEVEL.SECURE_SOFTWARE); // an old phone, or an emulator
      }
      const kept = await keychain.getGenericPassword({ service: service(name), storage });
      if (!kept || kept.password !== toBase64url(value)) throw new Error('the Keystore does not give back what it stored');
    },
  };
}
