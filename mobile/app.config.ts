/** What the app is to Android and to the store of the operator: name, permissions, plugins. docs/android.md says how it is built. */
import type { ExpoConfig } from 'expo/config';

const config: ExpoConfig = {
  name: 'Sottovoce',
  slug: 'sottovoce',
  scheme: 'sottovoce',
  version: '0.1.0',
  orientation: 'portrait',
  icon: './assets/icon.png',
  userInterfaceStyle: 'automatic',
  platforms: ['android', 'web'],
  android: {
    package: 'org.sottovoce.app',
    versionCode: 1,
    allowBackup: false,
    softwareKeyboardLayoutMode: 'resize',
    adaptiveIcon: { backgroundColor: '#F6F3EE', foregroundImage: './assets/icon-foreground.png', monochromeImage: './assets/icon-monochrome.png' },
    permissions: [
      'android.permission.INTERNET',
      'android.permission.ACCESS_NETWORK_STATE',
      'android.permission.READ_CONTACTS',
      'android.permission.CAMERA',
      'android.permission.RECORD_AUDIO',
      'android.permission.MODIFY_AUDIO_SETTINGS',
      'android.permission.BLUETOOTH_CONNECT',
      'android.permission.POST_NOTIFICATIONS',
      'android.permission.USE_FULL_SCREEN_INTENT',
      'android.permission.USE_BIOMETRIC',
      'android.permission.VIBRATE',
      'android.permission.MANAGE_OWN_CALLS',
      'android.permission.FOREGROUND_SERVICE',
      'android.permission.FOREGROUND_SERVICE_MICROPHONE',
      'android.permission.FOREGROUND_SERVICE_PHONE_CALL',
      'android.permission.FOREGROUND_SERVICE_REMOTE_MESSAGING',
      'android.permission.REQUEST_IGNORE_BATTERY_OPTIMIZATIONS',
      'android.permission.RECEIVE_BOOT_COMPLETED',
      'android.permission.WAKE_LOCK',
    ],
    // Brought along by packages, and never used here.
    blockedPermissions: [
      'android.permission.SYSTEM_ALERT_WINDOW',
      'android.permission.READ_EXTERNAL_STORAGE',
      'android.permission.WRITE_EXTERNAL_STORAGE',
      'android.permission.WRITE_CONTACTS',
      'android.permission.USE_FINGERPRINT',
      'android.permission.ACCESS_WIFI_STATE',
      'android.permission.GET_ACCOUNTS',
    ],
  },
  web: { bundler: 'metro', output: 'single' },
  plugins: [
    ['expo-router', { root: 'app' }],
    ['expo-localization', { supportedLocales: { android: ['en', 'de', 'tr', 'ar'] } }],
    ['expo-font', { android: { fonts: [] } }],
    ['expo-splash-screen', { image: './assets/splash.png', imageWidth: 120, backgroundColor: '#F6F3EE', dark: { image: './assets/splash.png', backgroundColor: '#14161A' } }],
    ['expo-camera', { cameraPermission: false, recordAudioAndroid: false, barcodeScannerEnabled: false }],
    ['expo-sqlite', { useSQLCipher: true }],
    ['@config-plugins/react-native-webrtc', {}],
    ['expo-dev-client', { addGeneratedScheme: false }],
    './plugins/with_sottovoce.cjs',
    // 28: the system's own prompt for a fingerprint, a clipboard that can be cleared, StrongBox.
    ['expo-build-properties', { android: { minSdkVersion: 28, usesCleartextTraffic: false } }],
  ],
};

export default config;
