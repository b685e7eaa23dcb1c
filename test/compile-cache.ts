/** What processes of the product are started with in tests: hundreds of them run the same sources (vitest.config.ts says where). */
export const compileCache: Readonly<Record<string, string>> = (({ NODE_COMPILE_CACHE: folder }) =>
  folder === undefined ? {} : { NODE_COMPILE_CACHE: folder })(process.env);
