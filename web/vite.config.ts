import { defineConfig } from "vite";

const server = process.env.VIDSTREAM_SERVER ?? "http://127.0.0.1:8080";

export default defineConfig({
  build: { target: "es2022", chunkSizeWarningLimit: 900 },
  server: {
    // `make web-dev`: pages come from Vite, all else from a running server.
    proxy: Object.fromEntries(["/vidstream.v1", "/videos", "/uploads"].map((path) => [path, { target: server }])),
  },
});
