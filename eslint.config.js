/** What the page's modules are held to besides their form, which prettier keeps. */

import js from "@eslint/js";
import globals from "globals";

export default [
  js.configs.recommended,
  {
    files: ["app/components/**/*.js"],
    languageOptions: { globals: globals.browser, sourceType: "module" },
    rules: {
      "no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      eqeqeq: "error",
      "no-var": "error",
      "prefer-const": "error",
      "no-implicit-globals": "error",
      "no-alert": "error",
      "no-eval": "error",
    },
  },
  {
    files: ["tests/canvas/**/*.mjs"],
    languageOptions: { globals: { ...globals.node, ...globals.browser }, sourceType: "module" },
  },
];
