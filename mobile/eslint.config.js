/**
 * Style that types cannot express; the border of the core, which runs on the phone too and so imports nothing of Node; and
 * the rule that screens hold no words: those are in the table of src/ui/i18n.
 */
import expo from 'eslint-config-expo/flat.js';
import tseslint from 'typescript-eslint';

const SCREENS = ['app/**/*.{ts,tsx}', 'src/ui/**/*.{ts,tsx}', 'src/phone/**/*.{ts,tsx}', 'modules/**/*.{ts,tsx}', 'ui-tests/**/*.{ts,tsx}'];
const SPOKEN = 'accessibilityLabel|accessibilityHint|placeholder|label|title|subtitle|detail|hint|message|action';

export default tseslint.config(
  ...tseslint.configs.recommended.map((one) => ({ ...one, files: ['src/**/*.ts', 'tests/**/*.ts', 'screens/**/*.ts'], ignores: SCREENS })),
  ...expo.map((one) => ({ ...one, files: SCREENS })),
  {
    files: ['src/**/*.{ts,tsx}', 'tests/**/*.ts', 'screens/**/*.ts', ...SCREENS],
    rules: {
      eqeqeq: 'error',
      'no-console': 'error',
      'no-control-regex': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { disallowTypeAnnotations: false }],
      '@typescript-eslint/no-unused-vars': ['error', { varsIgnorePattern: '^_', argsIgnorePattern: '^_' }],
    },
  },
  {
    files: ['src/core/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: [{ regex: '^(node:|ws$|react|expo|better-sqlite3|@signalapp/|\\.\\./node/|\\.\\./client/)', message: 'the core takes these in as ports' }] },
      ],
      'no-restricted-globals': ['error', 'process', 'Buffer', 'setTimeout', 'setInterval', 'fetch', 'WebSocket', 'crypto'],
    },
  },
  {
    files: SCREENS,
    rules: {
      // TypeScript resolves modules; this would look for them a second time and does not know the twins for the browser.
      'import/no-unresolved': 'off',
      'import/namespace': 'off',
      'react/display-name': 'off',
    },
  },
  {
    files: ['app/**/*.tsx', 'src/ui/**/*.tsx'],
    rules: {
      'react/jsx-no-literals': ['error', { noStrings: true, ignoreProps: true, allowedStrings: ['·', '–'] }],
      'no-restricted-syntax': [
        'error',
        {
          selector: `JSXAttribute[name.name=/^(${SPOKEN})$/] Literal[value=/[A-Za-z]{2,}/]:not(CallExpression Literal)`,
          message: 'words come from the table in src/ui/i18n, so that they exist in every language',
        },
      ],
    },
  },
);
