/** A portal in a frame tells the page around it how high it is, as Svix's `AppPortal` expects. */
import { useEffect } from "react";

export function useFrameHeight() {
  useEffect(() => {
    if (window.parent === window) return;
    let told = 0;
    const observer = new ResizeObserver(() => {
      const height = Math.ceil(document.getElementById("main")?.firstElementChild?.scrollHeight ?? 0) + 56;
      if (height === told) return;
      told = height;
      // A height is nobody's secret, and whoever may embed us is in the page's policy.
      window.parent.postMessage({ type: "svix.iframe-resizer-height", payload: { height } }, "*");
    });
    observer.observe(document.body);
    const main = document.getElementById("main");
    if (main) observer.observe(main);
    return () => observer.disconnect();
  }, []);
}
