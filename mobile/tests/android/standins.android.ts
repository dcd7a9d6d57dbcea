/**
 * The Kotlin is tested against stand-ins for Expo and React Native, and built by Gradle against the real ones: what is called must
 * look alike in both, and versions, names and hashes must not drift apart.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { expect, test } from 'vitest';

const MOBILE = path.resolve(import.meta.dirname, '../..');
const MODULE = path.join(MOBILE, 'modules/sottovoce-native');
const read = (...at: string[]): string => readFileSync(path.join(...at), 'utf8');
const packaged = (...at: string[]): string => read(MOBILE, 'node_modules', ...at);
const spaceless = (text: string): string => text.replace(/\s+/g, ' ');

const EXPO = 'expo-modules-core/android/src/main/java/expo/modules/kotlin';
const REACT = 'react-native/ReactAndroid/src/main/java/com/facebook/react';

/** What SottovoceModule and WakeService call, as its own packages declare it. */
test.each([
  [`${EXPO}/modules/Module.kt`, 'abstract fun definition(): ModuleDefinitionData'],
  [`${EXPO}/modules/Module.kt`, 'fun sendEvent(name: String, body: Map<String, Any?>)'],
  [`${EXPO}/modules/Module.kt`, 'inline fun Module.ModuleDefinition(crossinline block: ModuleDefinitionBuilder.() -> Unit): ModuleDefinitionData'],
  [`${EXPO}/modules/Module.kt`, 'override val appContext: AppContext'],
  [`${EXPO}/modules/ModuleDefinitionBuilder.kt`, 'fun Name(name: String)'],
  [`${EXPO}/modules/ModuleDefinitionBuilder.kt`, 'inline fun OnCreate(crossinline body: () -> Unit)'],
  [`${EXPO}/modules/ModuleDefinitionBuilder.kt`, 'inline fun OnDestroy(crossinline body: () -> Unit)'],
  [`${EXPO}/modules/ModuleDefinitionBuilder.kt`, 'inline fun OnNewIntent(crossinline body: (Intent) -> Unit)'],
  [`${EXPO}/objects/ObjectDefinitionBuilder.kt`, 'fun Events(vararg events: String)'],
  [`${EXPO}/objects/ObjectDefinitionBuilder.kt`, 'inline fun <reified R, reified P0, reified P1> AsyncFunction( name: String, crossinline body: (p0: P0, p1: P1) -> R )'],
  [`${EXPO}/objects/ObjectDefinitionBuilder.kt`, 'inline fun <reified R, reified P0, reified P1> AsyncFunction( name: String, crossinline body: (p0: P0, p1: P1, p2: Promise) -> R )'],
  [`${EXPO}/Promise.kt`, 'fun resolve(value: Any?)'],
  [`${EXPO}/AppContext.kt`, 'val reactContext: Context?'],
  [`${EXPO}/AppContext.kt`, 'override val currentActivity: Activity?'],
  [`${EXPO}/exception/CommonExceptions.kt`, 'class ReactContextLost : CodedException('],
  [`${REACT}/HeadlessJsTaskService.kt`, 'public abstract class HeadlessJsTaskService : Service()'],
  [`${REACT}/HeadlessJsTaskService.kt`, 'protected open fun getTaskConfig(intent: Intent?): HeadlessJsTaskConfig?'],
  [`${REACT}/jstasks/HeadlessJsTaskConfig.kt`, 'public val taskKey: String, public val data: WritableMap, public val timeout: Long = 0, public val isAllowedInForeground: Boolean = false'],
  [`${REACT}/bridge/Arguments.kt`, '@JvmStatic public fun createMap(): WritableMap'],
])('%s has: %s', (file, signature) => {
  expect(spaceless(packaged(file))).toContain(signature);
});

test('only the two files for Expo import what the tests have stand-ins for', () => {
  const importing = (folder: string): string[] =>
    readdirSync(path.join(MODULE, folder), { recursive: true, encoding: 'utf8' }).filter((name) => /\.(kt|java)$/.test(name) && /^import (?:expo\.|com\.facebook\.|androidx\.)/m.test(read(MODULE, folder, name)));
  expect(importing('android/src/main')).toEqual([]);
  expect(importing('android/src/expo').map((name) => path.basename(name)).sort()).toEqual(['SottovoceModule.kt', 'WakeService.kt']);
});

test('Gradle and Maven build with the same versions, which are React Native’s where it has one', () => {
  const pom = read(MODULE, 'jvm/pom.xml');
  const gradle = read(MODULE, 'android/build.gradle');
  const catalogue = packaged('react-native/gradle/libs.versions.toml');
  const property = (name: string): string | undefined => pom.match(new RegExp(`<${name}\\.version>(.*?)<`))?.[1];
  expect(gradle).toContain(`org.signal:libsignal-android:${property('libsignal')}`);
  expect(gradle).toContain(`com.squareup.okhttp3:okhttp:${property('okhttp')}`);
  expect(catalogue).toContain(`okhttp = "${property('okhttp')}"`);
  expect(catalogue).toContain(`kotlin = "${property('kotlin')}"`);
});

test('the two builds of libsignal are of one line, and the app says which it has', () => {
  const kotlin = read(MODULE, 'jvm/pom.xml').match(/<libsignal\.version>(\d+\.\d+)\.\d+</)?.[1];
  const { dependencies } = JSON.parse(read(MOBILE, 'package.json')) as { dependencies: Record<string, string> };
  expect(dependencies['@signalapp/libsignal-client']).toMatch(new RegExp(`^${kotlin}\\.`));
  expect(read(MOBILE, 'src/phone/this_phone.ts')).toContain(`libsignal: '${read(MODULE, 'jvm/pom.xml').match(/<libsignal\.version>(.*?)</)?.[1]}'`);
});

test('everything Maven fetched has a hash in the list', () => {
  const lines = read(MODULE, 'jvm/checksums.sha256').trim().split('\n');
  expect(lines.length).toBeGreaterThan(200);
  for (const line of lines) expect(line).toMatch(/^[0-9a-f]{64} {2}\.\/\S+\.jar$/);
  for (const name of ['libsignal-client-0.86.5.jar', 'okhttp-4.9.2.jar', 'kotlin-maven-plugin-2.1.20.jar', 'surefire-junit4-3.2.5.jar']) {
    expect(lines.filter((line) => line.endsWith(`/${name}`))).toHaveLength(1);
  }
});

test('the calls of both sides have the same names', () => {
  const kotlin = read(MODULE, 'android/src/main/kotlin/PhoneCalls.kt');
  const network = read(MODULE, 'android/src/main/kotlin/network/NetworkCalls.kt');
  const known = new Set([
    ...[...kotlin.slice(kotlin.indexOf('private val CALLS')).matchAll(/^ {4}"(\w+)" to/gm)].map(([, name]) => name),
    ...[...network.matchAll(/^ {12}"(\w+)" ->/gm)].map(([, name]) => name),
  ]);
  expect(known.size).toBeGreaterThan(25);
  const asked = new Set(
    readdirSync(path.join(MOBILE, 'src/phone'))
      .filter((name) => name.endsWith('.ts'))
      .flatMap((name) => [...read(MOBILE, 'src/phone', name).matchAll(/(?:native|#native)\.call(?:<[^(]*>)?\('(\w+)'/g)].map(([, call]) => call)),
  );
  expect([...asked].filter((name) => !known.has(name))).toEqual([]);
  expect([...known].filter((name) => !asked.has(name) && name !== 'http')).toEqual([]);
});

test('the recipe for F-Droid builds the version that the app says it is', () => {
  const config = read(MOBILE, 'app.config.ts');
  const recipe = read(MOBILE, 'fdroid/org.sottovoce.app.yml');
  const [name, code, id] = [/version: '([^']+)'/, /versionCode: (\d+)/, /package: '([^']+)'/].map((pattern) => config.match(pattern)?.[1]);
  for (const line of [`versionName: ${name}`, `versionCode: ${code}`, `commit: v${name}`, `CurrentVersion: ${name}`, `CurrentVersionCode: ${code}`]) expect(recipe).toContain(line);
  expect(id).toBe('org.sottovoce.app');
});
