// The page as three files of fixed names: they are embedded in the binary, which serves them
// with an ETag each, so a name need not change with its content.
import { defineConfig } from "vite";

export default defineConfig({
  base: "/page/",
  publicDir: "public",
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    // Everything in one file: data: URLs are not among what the page may load.
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    rollupOptions: {
      output: {
        entryFileNames: "page.js",
        assetFileNames: "page.[ext]",
        codeSplitting: false,
      },
    },
  },
  // `SERIN=http://127.0.0.1:9901 npx vite` serves the sources as they are, against a running Serin.
  server: { proxy: { "/v1": process.env["SERIN"] ?? "http://127.0.0.1:9901" } },
});
