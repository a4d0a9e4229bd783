import react from "@vitejs/plugin-react";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliCompressSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

/** All that a browser could ever load, compressed: a first page loads a part of it. */
const MOST_BYTES = 350_000;

/** Writes a compressed file beside each asset, and fails when they have grown too much. */
function compress(): Plugin {
  return {
    name: "compress",
    apply: "build",
    async writeBundle({ dir }) {
      const assets = join(dir ?? "dist", "assets");
      let total = 0;
      for (const name of await readdir(assets)) {
        const compressed = brotliCompressSync(await readFile(join(assets, name)));
        total += compressed.length;
        await writeFile(join(assets, `${name}.br`), compressed);
      }
      this.info(`${total} bytes compressed, of ${MOST_BYTES} at most`);
      if (total > MOST_BYTES) this.error("the assets have grown too much");
    },
  };
}

export default defineConfig({
  plugins: [react(), compress()],
  build: { emptyOutDir: true, modulePreload: { polyfill: false }, reportCompressedSize: false },
  // For work on the UI beside a running `hookwright dev`.
  server: { proxy: Object.fromEntries(["/api", "/ingest"].map((path) => [path, "http://127.0.0.1:8071"])) },
});
