// One file comes out: script and style inside the page, so that the server has one thing to hand out.
import { defineConfig } from "vite";

function inline() {
  return {
    name: "inline",
    enforce: "post",
    generateBundle(_options, bundle) {
      const page = bundle["index.html"];
      for (const [name, item] of Object.entries(bundle)) {
        if (item === page) continue;
        const text = (item.type === "chunk" ? item.code : item.source).trim();
        const tag = item.type === "chunk"
          ? [new RegExp(`<script[^>]*src="[^"]*${name}"[^>]*></script>`), `<script type="module">${text.replaceAll("</script", "<\\/script")}</script>`]
          : [new RegExp(`<link[^>]*href="[^"]*${name}"[^>]*>`), `<style>${text}</style>`];
        page.source = page.source.replace(tag[0], () => tag[1]);
        delete bundle[name];
      }
    },
  };
}

export default defineConfig({
  base: "./",
  build: { outDir: "dist", assetsInlineLimit: 1e9, cssCodeSplit: false, modulePreload: false, target: "es2022" },
  plugins: [inline()],
});
