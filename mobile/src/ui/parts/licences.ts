/** What the app is made of, and under which licence: what goes into it. */
export const PACKAGES: readonly { readonly name: string; readonly licence: string }[] = [
  { name: 'libsignal', licence: 'AGPL-3.0-only' },
  { name: '@noble/ciphers, curves, hashes', licence: 'MIT' },
  { name: 'SQLCipher (expo-sqlite)', licence: 'BSD-3-Clause, MIT' },
  { name: 'expo', licence: 'MIT' },
  { name: 'react, react-native', licence: 'MIT' },
  { name: 'react-native-gesture-handler, reanimated, worklets', licence: 'MIT' },
  { name: 'react-native-screens, safe-area-context, svg', licence: 'MIT' },
  { name: 'react-native-keychain', licence: 'MIT' },
  { name: 'react-native-webrtc', licence: 'MIT, BSD-3-Clause' },
  { name: 'react-native-incall-manager', licence: 'ISC' },
  { name: '@react-native-community/netinfo', licence: 'MIT' },
  { name: 'libphonenumber-js', licence: 'MIT' },
  { name: 'qr', licence: 'MIT' },
  { name: 'jpeg-js', licence: 'BSD-3-Clause' },
  { name: 'Inter, IBM Plex Sans Arabic', licence: 'OFL-1.1' },
];
