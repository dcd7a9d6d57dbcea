/** Metro and Jest read the sources through Expo's preset; it adds the worklets plugin by itself. */
module.exports = (api) => {
  api.cache(true);
  return { presets: ['babel-preset-expo'] };
};
