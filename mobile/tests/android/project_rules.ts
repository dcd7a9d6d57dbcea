/** What the Android project of the app may hold and what not, as rules over its files; project.android.ts applies them. */

export interface Library {
  readonly name: string;
  readonly gradle: string;
  readonly manifest: string;
}

export interface Project {
  /** app/src/main/AndroidManifest.xml */
  readonly manifest: string;
  readonly gradle: string;
  readonly appGradle: string;
  readonly properties: string;
  readonly extractionRules: string;
  readonly networkSecurity: string;
  /** Everything that autolinking brings in. */
  readonly libraries: readonly Library[];
}

const named = (names: readonly string[]): Set<string> => new Set(names.map((name) => `android.permission.${name}`));

/** Each has its use: docs/android.md has the table. */
export const PERMISSIONS = named([
  'ACCESS_NETWORK_STATE',
  'BLUETOOTH',
  'BLUETOOTH_CONNECT',
  'CAMERA',
  'FOREGROUND_SERVICE',
  'FOREGROUND_SERVICE_MICROPHONE',
  'FOREGROUND_SERVICE_PHONE_CALL',
  'FOREGROUND_SERVICE_REMOTE_MESSAGING',
  'INTERNET',
  'MANAGE_OWN_CALLS',
  'MODIFY_AUDIO_SETTINGS',
  'POST_NOTIFICATIONS',
  'READ_CONTACTS',
  'RECEIVE_BOOT_COMPLETED',
  'RECORD_AUDIO',
  'REQUEST_IGNORE_BATTERY_OPTIMIZATIONS',
  'USE_BIOMETRIC',
  'USE_FULL_SCREEN_INTENT',
  'VIBRATE',
  'WAKE_LOCK',
]);

/** What other apps may start. */
const EXPORTED = new Set(['.MainActivity', 'org.sottovoce.phone.calls.CallConnectionService', 'org.sottovoce.phone.push.PushReceiver']);

const SERVICES = new Map([
  ['org.sottovoce.phone.mailbox.MailboxService', 'remoteMessaging'],
  ['org.sottovoce.phone.calls.CallService', 'phoneCall|microphone'],
]);

const APPLICATION = {
  allowBackup: 'false',
  fullBackupContent: 'false',
  dataExtractionRules: '@xml/data_extraction_rules',
  usesCleartextTraffic: 'false',
  networkSecurityConfig: '@xml/network_security_config',
} as const;

/** Google's services, and the usual trackers. */
const UNWANTED =
  /com\.google\.(?:firebase|android\.gms|mlkit|android\.datatransport|android\.play)|play-services|crashlytics|io\.sentry|bugsnag|amplitude|mixpanel|com\.appsflyer|com\.adjust\.sdk|com\.facebook\.android|io\.branch|com\.onesignal|com\.segment|com\.newrelic|com\.datadoghq/;

/** Lines that name something unwanted and still bring nothing: each with what must hold for that. */
const HARMLESS: readonly { readonly library: string; readonly line: RegExp; readonly because: (project: Project, library: Library) => boolean }[] = [
  {
    library: 'expo-camera',
    line: /add\(barcodeDependencyConfiguration, /,
    // compileOnly when the property is false
    because: (project, { gradle }) => /expo\.camera\.barcode-scanner-enabled=false/.test(project.properties) && /compileOnly/.test(gradle),
  },
  { library: 'expo-dev-launcher', line: /^\s*debugOnly "/, because: (_project, { gradle }) => /debugOnly/.test(gradle) },
];

const REPOSITORIES = new Set(['google()', 'mavenCentral()', 'maven build-artifacts.signal.org']);

const withoutComments = (text: string): string => text.replace(/<!--[\s\S]*?-->/g, '');

function elements(manifest: string, tag: string): Map<string, string>[] {
  return [...withoutComments(manifest).matchAll(new RegExp(`<${tag}\\b([^>]*)>`, 'g'))].map(
    ([, attributes = '']) => new Map([...attributes.matchAll(/([\w:]+)\s*=\s*"([^"]*)"/g)].map(([, name = '', value = '']) => [name, value])),
  );
}

const components = (manifest: string): Map<string, string>[] => ['activity', 'activity-alias', 'service', 'receiver', 'provider'].flatMap((tag) => elements(manifest, tag));

function permissions(project: Project): Set<string> {
  const all = [project.manifest, ...project.libraries.map(({ manifest }) => manifest)].flatMap((manifest) => elements(manifest, 'uses-permission(?:-sdk-23)?'));
  const removed = new Set(elements(project.manifest, 'uses-permission').filter((one) => one.get('tools:node') === 'remove').map((one) => one.get('android:name')));
  return new Set(all.map((one) => one.get('android:name') ?? '').filter((name) => !removed.has(name)));
}

export function violations(project: Project): string[] {
  const found: string[] = [];
  const must = (condition: boolean, what: string): void => {
    if (!condition) found.push(what);
  };

  const asked = permissions(project);
  for (const name of asked) must(PERMISSIONS.has(name), `permission that is not on the list: ${name}`);
  for (const name of PERMISSIONS) must(asked.has(name), `permission that is on the list and not asked for: ${name}`);

  const [application] = elements(project.manifest, 'application');
  for (const [name, value] of Object.entries(APPLICATION)) must(application?.get(`android:${name}`) === value, `application: ${name} is not ${value}`);
  for (const name of Object.keys(APPLICATION)) must((application?.get('tools:replace') ?? '').includes(`android:${name}`), `application: a library could replace ${name}`);
  must(application?.get('android:debuggable') === undefined, 'application: debuggable');

  for (const section of ['cloud-backup', 'device-transfer']) {
    const body = project.extractionRules.match(new RegExp(`<${section}>([\\s\\S]*?)</${section}>`))?.[1] ?? '';
    for (const domain of ['root', 'file', 'database', 'sharedpref', 'external', 'device_root', 'device_file', 'device_database', 'device_sharedpref']) {
      must(body.includes(`<exclude domain="${domain}" />`), `${section}: ${domain} may leave the phone`);
    }
    must(!body.includes('<include'), `${section}: something is included`);
  }
  must(/<base-config cleartextTrafficPermitted="false">/.test(project.networkSecurity), 'clear-text traffic');
  // Tor encrypts what goes to an onion service: the only names that are spoken to without TLS.
  const onion = /<domain-config cleartextTrafficPermitted="true">\s*<domain includeSubdomains="true">onion<\/domain>\s*<\/domain-config>/;
  must(onion.test(project.networkSecurity), 'onion services cannot be reached');
  must(!/cleartextTrafficPermitted="true"|src="user"|<debug-overrides/.test(project.networkSecurity.replace(onion, '')), 'network security is loosened');

  const all = [project.manifest, ...project.libraries.filter(({ name }) => name !== 'expo-dev-launcher' && name !== 'expo-dev-menu').map(({ manifest }) => manifest)];
  for (const component of all.flatMap(components)) {
    const name = component.get('android:name') ?? '';
    if (component.get('android:exported') === 'true') must(EXPORTED.has(name), `exported: ${name}`);
  }
  const ours = project.libraries.find(({ name }) => name === 'sottovoce-native');
  must(ours !== undefined, 'our own module is not linked');
  for (const [name, type] of SERVICES) {
    const service = elements(ours?.manifest ?? '', 'service').find((one) => one.get('android:name') === name);
    must(service?.get('android:foregroundServiceType') === type, `${name}: not of type ${type}`);
  }
  const connections = elements(ours?.manifest ?? '', 'service').find((one) => one.get('android:name')?.endsWith('CallConnectionService'));
  must(connections?.get('android:permission') === 'android.permission.BIND_TELECOM_CONNECTION_SERVICE', 'anybody may be Telecom');
  must(!elements(project.manifest, 'data').some((one) => one.get('android:scheme')?.startsWith('exp+')), 'a link for developers');

  for (const [where, gradle] of [['the project', project.gradle], ['the app', project.appGradle.replace(/exclude group: "[^"]*"/g, '')]] as const) {
    must(!UNWANTED.test(gradle), `${where} names something unwanted: ${gradle.match(UNWANTED)?.[0]}`);
  }
  const removed = new Set(elements(project.manifest, 'meta-data').filter((one) => one.get('tools:node') === 'remove').map((one) => one.get('android:name')));
  for (const library of project.libraries) {
    for (const line of library.gradle.split('\n')) {
      if (!UNWANTED.test(line) || /^\s*(?:\/\/|\*)/.test(line)) continue;
      const excuse = HARMLESS.find((one) => one.library === library.name && one.line.test(line));
      must(excuse?.because(project, library) ?? false, `${library.name} brings something unwanted: ${line.trim()}`);
    }
    for (const component of [...components(library.manifest), ...elements(library.manifest, 'meta-data')]) {
      const name = component.get('android:name') ?? '';
      must(!UNWANTED.test(name) || removed.has(name), `${library.name}: its manifest names something unwanted: ${name}`);
    }
  }
  for (const group of ['com.google.firebase', 'com.google.android.gms', 'com.google.mlkit', 'com.google.android.datatransport']) {
    must(project.appGradle.includes(`exclude group: "${group}"`), `${group} is not kept out`);
  }
  must(!/["']com\.google\.gms:google-services|apply plugin: ["']com\.google\.gms/.test(project.gradle + project.appGradle), "Google's Gradle plugin");

  const repositories = project.gradle.slice(project.gradle.indexOf('allprojects'));
  const listed = [...repositories.matchAll(/^\s*(google\(\)|mavenCentral\(\)|jcenter\(\))|url\s+["']https:\/\/(?:www\.)?([^/"']+)/gm)].map(([, plain, host]) => plain ?? `maven ${host}`);
  for (const repository of listed) must(REPOSITORIES.has(repository), `repository: ${repository}`);
  must(/build-artifacts\.signal\.org[^}]*includeGroup "org\.signal"/.test(repositories), "Signal's repository is absent, or asked for other groups than its own");

  must(/^expo\.sqlite\.useSQLCipher=true$/m.test(project.properties), 'SQLite without SQLCipher');
  must(/^reactNativeArchitectures=armeabi-v7a,arm64-v8a,x86_64$/m.test(project.properties), 'architectures that libsignal does not have');
  must(/^android\.minSdkVersion=28$/m.test(project.properties), 'Android older than 9');
  must(/coreLibraryDesugaringEnabled true/.test(project.appGradle), 'libsignal needs newer classes of Java');
  must(/libsignal_jni\*\.dylib/.test(project.appGradle) && /libsignal_jni_testing\.so/.test(project.appGradle), "libsignal's libraries for desktops would be packed");
  must(/includeInApk = false/.test(project.appGradle), 'a block in the APK that only Google can read');
  must(/force "org\.jitsi:webrtc:[\d.]+"/.test(project.appGradle), 'WebRTC of whatever day it is');
  return found;
}
