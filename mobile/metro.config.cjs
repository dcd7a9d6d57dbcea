/** Bundles for the phone, and for the pictures of the screens. */
const { getDefaultConfig } = require('expo/metro-config');

const config = getDefaultConfig(__dirname);

// What runs under Node only must not find its way into the app by a slip of an import.
config.resolver.blockList = [/\/src\/(node|client|bridge)\/.*/, /\/tests\/.*/];

module.exports = config;
