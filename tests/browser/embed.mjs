// A product's page around the portal: Svix's own component, as it is published.
import { build } from "esbuild";
import { createServer } from "node:http";
import { once } from "node:events";

const SOURCE = `
  import React from "react";
  import { createRoot } from "react-dom/client";
  import { AppPortal } from "svix-react";
  const { url, ...look } = JSON.parse(document.getElementById("props").textContent);
  createRoot(document.getElementById("root")).render(<AppPortal url={url} {...look} />);
`;

async function bundle() {
  const made = await build({
    stdin: { contents: SOURCE, resolveDir: import.meta.dirname, loader: "jsx" },
    bundle: true, write: false, outdir: "out", format: "iife", define: { "process.env.NODE_ENV": '"production"' },
  });
  return made.outputFiles.find((file) => file.path.endsWith(".js")).text;
}

/** Serves it at an address; answers the origin and how to end. */
export async function product(port, props) {
  const script = await bundle();
  const page = `<!doctype html><title>Product</title><div id=root></div>
    <script id=props type=application/json>${JSON.stringify(props).replaceAll("<", "\\u003c")}</script><script src=/product.js></script>`;
  const server = createServer((request, response) => {
    const isScript = request.url === "/product.js";
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? script : page);
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return { origin: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}
