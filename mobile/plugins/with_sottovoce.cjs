/**
 * What the Android project of the app needs beyond what Expo and the packages write: nothing leaves the phone by a backup, no clear
 * text but to onion services, libsignal's repository and libraries, and no way in for Google's services. mobile/tests/android/project.android.ts reads what comes of it.
 */
const fs = require('node:fs');
const path = require('node:path');

const { AndroidConfig, createRunOncePlugin, withAndroidManifest, withAppBuildGradle, withDangerousMod, withGradleProperties, withProjectBuildGradle } = require('expo/config-plugins');

/** Signal publishes the Android library here and nowhere else; the repository is asked for its own group alone. */
const SIGNAL_REPOSITORY = `    maven {
      url "https://build-artifacts.signal.org/libraries/maven/"
      content { includeGroup "org.signal" }
    }`;

const BUILD = `
// -- sottovoce --
android {
    compileOptions {
        coreLibraryDesugaringEnabled true // libsignal uses newer classes of java.time and java.util
    }
    packaging {
        // libsignal's jar for the JVM carries libraries for desktops; the phone has its own.
        resources { excludes += ["libsignal_jni*.so", "libsignal_jni*.dylib", "signal_jni*.dll"] }
        jniLibs { excludes += ["**/libsignal_jni_testing.so"] }
    }
    dependenciesInfo {
        // An encrypted list of dependencies that only Google could read, and that differs between builds.
        includeInApk = false
        includeInBundle = false
    }
}
dependencies {
    coreLibraryDesugaring("com.android.tools:desugar_jdk_libs:2.1.5")
}
configurations.configureEach {
    resolutionStrategy {
        force "org.jitsi:webrtc:124.0.0" // react-native-webrtc asks for "124.+", whatever that is on the day
    }
    // Whatever a package asks for one day: these do not get in, and what needs them does not build.
    exclude group: "com.google.firebase"
    exclude group: "com.google.android.gms"
    exclude group: "com.google.mlkit"
    exclude group: "com.google.android.datatransport"
}
// -- sottovoce --
`;

const XML = {
  // Tor encrypts the way to an onion service, whose name is its key; mobile/src/core/links.ts lets no other name pass without TLS.
  'network_security_config.xml': `<?xml version="1.0" encoding="utf-8"?>
<network-security-config>
  <base-config cleartextTrafficPermitted="false">
    <trust-anchors>
      <certificates src="system" />
    </trust-anchors>
  </base-config>
  <domain-config cleartextTrafficPermitted="true">
    <domain includeSubdomains="true">onion</domain>
  </domain-config>
</network-security-config>
`,
  // Android 12 and later look here, whatever allowBackup says of a transfer from phone to phone.
  'data_extraction_rules.xml': `<?xml version="1.0" encoding="utf-8"?>
<data-extraction-rules>
  <cloud-backup>
    <exclude domain="root" />
    <exclude domain="file" />
    <exclude domain="database" />
    <exclude domain="sharedpref" />
    <exclude domain="external" />
    <exclude domain="device_root" />
    <exclude domain="device_file" />
    <exclude domain="device_database" />
    <exclude domain="device_sharedpref" />
  </cloud-backup>
  <device-transfer>
    <exclude domain="root" />
    <exclude domain="file" />
    <exclude domain="database" />
    <exclude domain="sharedpref" />
    <exclude domain="external" />
    <exclude domain="device_root" />
    <exclude domain="device_file" />
    <exclude domain="device_database" />
    <exclude domain="device_sharedpref" />
  </device-transfer>
</data-extraction-rules>
`,
};

const ML_KIT = 'com.google.mlkit.vision.DEPENDENCIES';

/** A stroke of a speech bubble, white on nothing: Android colours it. */
const NOTIFICATION_ICON = `<?xml version="1.0" encoding="utf-8"?>
<vector xmlns:android="http://schemas.android.com/apk/res/android" android:width="24dp" android:height="24dp" android:viewportWidth="24" android:viewportHeight="24">
  <path android:fillColor="#FFFFFFFF" android:pathData="M4,4h16a2,2 0,0 1,2 2v9a2,2 0,0 1,-2 2H9l-5,4v-4a2,2 0,0 1,-2 -2V6a2,2 0,0 1,2 -2z" />
</vector>
`;

const withManifest = (config) =>
  withAndroidManifest(config, (mod) => {
    const application = AndroidConfig.Manifest.getMainApplicationOrThrow(mod.modResults);
    Object.assign(application.$, {
      'android:allowBackup': 'false',
      'android:fullBackupContent': 'false',
      'android:dataExtractionRules': '@xml/data_extraction_rules',
      'android:usesCleartextTraffic': 'false',
      'android:networkSecurityConfig': '@xml/network_security_config',
    });
    // A package's manifest may say otherwise of the same attributes; the app's word counts.
    AndroidConfig.Manifest.ensureToolsAvailable(mod.modResults);
    application.$['tools:replace'] = 'android:allowBackup,android:fullBackupContent,android:dataExtractionRules,android:usesCleartextTraffic,android:networkSecurityConfig';
    // expo-camera asks Google's ML Kit to be fetched at installation, though its scanner is not built in.
    application['meta-data'] = [...(application['meta-data'] ?? []).filter((one) => one.$['android:name'] !== ML_KIT), { $: { 'android:name': ML_KIT, 'tools:node': 'remove' } }];
    // The screen of a call comes over the lock screen, and only that: the app's own lock stands before everything else.
    const main = AndroidConfig.Manifest.getMainActivityOrThrow(mod.modResults);
    Object.assign(main.$, { 'android:showWhenLocked': 'false', 'android:turnScreenOn': 'false', 'android:launchMode': 'singleTask' });
    return mod;
  });

const withResources = (config) =>
  withDangerousMod(config, [
    'android',
    (mod) => {
      const folder = path.join(mod.modRequest.platformProjectRoot, 'app/src/main/res');
      const write = (file, text) => {
        fs.mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
        fs.writeFileSync(path.join(folder, file), text);
      };
      for (const [file, text] of Object.entries(XML)) write(`xml/${file}`, text);
      write('drawable/notification_icon.xml', NOTIFICATION_ICON);
      return mod;
    },
  ]);

const withRepository = (config) =>
  withProjectBuildGradle(config, (mod) => {
    const { contents } = mod.modResults;
    if (contents.includes('build-artifacts.signal.org')) return mod;
    const changed = contents.replace(/(allprojects\s*\{\s*repositories\s*\{)/, `$1\n${SIGNAL_REPOSITORY}`);
    if (changed === contents) throw new Error('build.gradle of the project has no place for a repository: Expo writes it differently now');
    // Anybody can publish there under any name, and nothing of ours comes from it.
    mod.modResults.contents = changed.replace(/^.*jitpack\.io.*\n/gm, '');
    return mod;
  });

const withBuild = (config) =>
  withAppBuildGradle(config, (mod) => {
    if (!mod.modResults.contents.includes('// -- sottovoce --')) mod.modResults.contents += BUILD;
    return mod;
  });

const withProperties = (config) =>
  withGradleProperties(config, (mod) => {
    const set = (key, value) => {
      mod.modResults = mod.modResults.filter((one) => one.type !== 'property' || one.key !== key);
      mod.modResults.push({ type: 'property', key, value });
    };
    set('reactNativeArchitectures', 'armeabi-v7a,arm64-v8a,x86_64'); // what libsignal has
    set('expo.camera.barcode-scanner-enabled', 'false'); // ML Kit stays out
    return mod;
  });

const withSottovoce = (config) => [withManifest, withResources, withRepository, withBuild, withProperties].reduce((made, step) => step(made), config);

module.exports = createRunOncePlugin(withSottovoce, 'sottovoce', '1.0.0');
