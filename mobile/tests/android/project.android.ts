/** The Android project that `expo prebuild` writes, read as a reviewer would: permissions, backups, clear text, Google, trackers. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, expect, test } from 'vitest';

import { violations } from './project_rules.ts';
import type { Library, Project } from './project_rules.ts';

const MOBILE = path.resolve(import.meta.dirname, '../..');
const folder = mkdtempSync(path.join(tmpdir(), 'sottovoce-android-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const read = (...at: string[]): string => (existsSync(path.join(...at)) ? readFileSync(path.join(...at), 'utf8') : '');

interface Linked {
  readonly modules: readonly { readonly projects?: readonly { readonly name: string; readonly sourceDir: string }[] }[];
}
interface Config {
  readonly dependencies: Record<string, { readonly platforms: { readonly android: { readonly sourceDir: string } | null } }>;
}

/** Offline, in a copy: nothing of the checkout is written to. */
function prebuild(): Project {
  for (const name of ['app.config.ts', 'package.json', 'assets', 'plugins', 'modules', 'app', 'index.ts', 'tsconfig.json']) {
    cpSync(path.join(MOBILE, name), path.join(folder, name), { recursive: true, filter: (source) => !source.includes(`${path.sep}jvm`) });
  }
  symlinkSync(path.join(MOBILE, 'node_modules'), path.join(folder, 'node_modules'));
  const env = { ...process.env, CI: '1', EXPO_OFFLINE: '1', EXPO_NO_TELEMETRY: '1' };
  const run = (...args: string[]): string => execFileSync('npx', args, { cwd: folder, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 64 * 1024 * 1024 });
  run('expo', 'prebuild', '--platform', 'android', '--no-install');
  const linked = JSON.parse(run('expo-modules-autolinking', 'resolve', '--platform', 'android', '--json')) as Linked;
  const config = JSON.parse(run('expo-modules-autolinking', 'react-native-config', '--platform', 'android', '--json')) as Config;
  const places = new Map<string, string>([
    ...linked.modules.flatMap(({ projects = [] }) => projects.map(({ name, sourceDir }): [string, string] => [name, sourceDir])),
    ...Object.entries(config.dependencies).flatMap(([name, { platforms }]): [string, string][] => (platforms.android ? [[name, platforms.android.sourceDir]] : [])),
  ]);
  const libraries: Library[] = [...places].map(([name, place]) => ({
    name,
    gradle: read(place, 'build.gradle') + read(place, 'build.gradle.kts'),
    manifest: read(place, 'src/main/AndroidManifest.xml'),
  }));
  const android = path.join(folder, 'android');
  const main = path.join(android, 'app/src/main');
  return {
    manifest: read(main, 'AndroidManifest.xml'),
    gradle: read(android, 'build.gradle'),
    appGradle: read(android, 'app/build.gradle'),
    properties: read(android, 'gradle.properties'),
    extractionRules: read(main, 'res/xml/data_extraction_rules.xml'),
    networkSecurity: read(main, 'res/xml/network_security_config.xml'),
    libraries,
  };
}

const project = prebuild();

test('the project is as it must be', () => {
  expect(project.libraries.length).toBeGreaterThan(25);
  expect(project.libraries.map(({ name }) => name)).toEqual(expect.arrayContaining(['sottovoce-native', 'expo-sqlite', 'react-native-webrtc', 'react-native-keychain']));
  expect(violations(project)).toEqual([]);
});

const library = (name: string, gradle: string, manifest = ''): Project => ({ ...project, libraries: [...project.libraries, { name, gradle, manifest }] });
const manifest = (from: string | RegExp, to: string): Project => ({ ...project, manifest: project.manifest.replace(from, to) });
const ours = (from: string, to: string): Project => ({
  ...project,
  libraries: project.libraries.map((one) => (one.name === 'sottovoce-native' ? { ...one, manifest: one.manifest.replace(from, to) } : one)),
});

test.each<[string, Project, RegExp]>([
  ['Firebase', library('expo-notifications', '  implementation "com.google.firebase:firebase-messaging:24.0.1"'), /brings something unwanted/],
  ['Play Services', library('some-location', "api 'com.google.android.gms:play-services-location:21.0.1'"), /brings something unwanted/],
  ['a tracker', library('some-crashes', 'implementation("io.sentry:sentry-android:8.0.0")'), /brings something unwanted/],
  ['ML Kit, since the scanner of the camera is on', { ...project, properties: project.properties.replace('scanner-enabled=false', 'scanner-enabled=true') }, /expo-camera brings/],
  ['a wish for ML Kit at installation', manifest(/<meta-data[^>]*com\.google\.mlkit[^>]*>/, ''), /expo-camera: its manifest/],
  ['an overlay over other apps', manifest(/<uses-permission[^>]*SYSTEM_ALERT_WINDOW[^>]*>/, '<uses-permission android:name="android.permission.SYSTEM_ALERT_WINDOW"/>'), /SYSTEM_ALERT_WINDOW/],
  ["a library's permission", library('some-library', '', '<uses-permission android:name="android.permission.ACCESS_FINE_LOCATION"/>'), /ACCESS_FINE_LOCATION/],
  ['a permission that is missing', { ...ours('android.permission.MANAGE_OWN_CALLS', 'x.y'), manifest: project.manifest.replace('android.permission.MANAGE_OWN_CALLS', 'x.y') }, /MANAGE_OWN_CALLS/],
  ['a backup', manifest('android:allowBackup="false"', 'android:allowBackup="true"'), /allowBackup/],
  ['a transfer of the database to another phone', { ...project, extractionRules: project.extractionRules.replaceAll('<exclude domain="database" />', '') }, /device-transfer: database/],
  ['clear text', { ...project, networkSecurity: project.networkSecurity.replace('"false"', '"true"') }, /clear-text/],
  ['clear text to another domain', { ...project, networkSecurity: project.networkSecurity.replace('>onion<', '>example<') }, /loosened/],
  ['clear text to a second domain', { ...project, networkSecurity: project.networkSecurity.replace('onion</domain>', 'onion</domain><domain>example</domain>') }, /loosened/],
  ['no onion services', { ...project, networkSecurity: project.networkSecurity.replace(/<domain-config[\s\S]*<\/domain-config>/, '') }, /onion services/],
  ['certificates that the person installed', { ...project, networkSecurity: project.networkSecurity.replace('src="system"', 'src="user"') }, /loosened/],
  ['a library that may replace an attribute', manifest('tools:replace="android:allowBackup,', 'tools:replace="'), /could replace allowBackup/],
  ['an exported component', library('some-share', '', '<activity android:name="x.Share" android:exported="true"/>'), /exported: x.Share/],
  ['a service of another type', ours('android:foregroundServiceType="remoteMessaging"', 'android:foregroundServiceType="dataSync"'), /not of type remoteMessaging/],
  ['a Telecom that anybody may play', ours('android:permission="android.permission.BIND_TELECOM_CONNECTION_SERVICE"', ''), /anybody may be Telecom/],
  ['no SQLCipher', { ...project, properties: project.properties.replace('useSQLCipher=true', 'useSQLCipher=false') }, /SQLCipher/],
  ['a repository of anybody', { ...project, gradle: project.gradle.replace('mavenCentral()\n', 'mavenCentral()\n').concat("allprojects { repositories { maven { url 'https://www.jitpack.io' } } }") }, /jitpack/],
  ["Signal's repository for everything", { ...project, gradle: project.gradle.replace('content { includeGroup "org.signal" }', '') }, /Signal's repository/],
  ['no module', { ...project, libraries: project.libraries.filter(({ name }) => name !== 'sottovoce-native') }, /not linked/],
  ['a link for developers', manifest('android:scheme="sottovoce"', 'android:scheme="exp+sottovoce"'), /for developers/],
])('a planted violation is found: %s', (_name, planted, expected) => {
  expect(violations(planted).join('\n')).toMatch(expected);
});
