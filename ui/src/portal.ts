/** How a portal looks, as its address asks: the parameters that Svix's `AppPortal` appends. */
import { mergeThemeOverrides, type MantineColorsTuple, type MantineThemeOverride } from "@mantine/core";
import { isPortal } from "./api/session";
import { theme } from "./theme";

/** Fonts are the system's: nothing is loaded from elsewhere. */
const FONTS: Record<string, string> = {
  sans: theme.fontFamily!,
  serif: 'ui-serif, Georgia, Cambria, "Times New Roman", serif',
  mono: theme.fontFamilyMonospace!,
  rounded: 'ui-rounded, "SF Pro Rounded", "Nunito", "Varela Round", system-ui, sans-serif',
};

const MOST_ICON = 64 * 1024;

export interface Look {
  theme: MantineThemeOverride;
  /** None: as the viewer's system. */
  scheme?: "light" | "dark";
  icon?: string;
}

export function readLook(search: string): Look {
  const asked = new URLSearchParams(search);
  const override: MantineThemeOverride = {};
  const font = asked.get("fontFamily")?.toLowerCase();
  if (font) {
    const installed = /^[a-z0-9 -]{1,40}$/.test(font) ? `"${font}", ${FONTS.sans}` : undefined;
    const family = FONTS[font] ?? installed;
    if (family) {
      override.fontFamily = family;
      override.headings = { fontFamily: family };
    }
  }
  const color = /^#?([0-9a-f]{6}|[0-9a-f]{3})$/i.exec(asked.get("primaryColor") ?? "")?.[1];
  if (color) {
    override.colors = { brand: shades(color) };
    override.primaryColor = "brand";
  }
  const icon = asked.get("icon") ?? "";
  const dark = asked.get("darkMode");
  return {
    theme: mergeThemeOverrides(theme, override),
    ...(dark !== "auto" && { scheme: dark === "true" ? "dark" : "light" }),
    ...(icon.length <= MOST_ICON && /^data:image\/(png|svg\+xml|jpeg|webp);/.test(icon) && { icon }),
  };
}

let look: Look | null = null;

/** Read once: links within the portal need not carry it on. */
export function portalLook(): Look | null {
  if (isPortal) look ??= readLook(location.search);
  return look;
}

/** Ten shades around a colour, from light to dark. */
function shades(hex: string): MantineColorsTuple {
  const full = hex.length === 3 ? [...hex].map((digit) => digit + digit).join("") : hex;
  const parts = [0, 2, 4].map((at) => parseInt(full.slice(at, at + 2), 16));
  const mix = (share: number) => {
    const to = share < 0 ? 0 : 255;
    const channel = (value: number) => Math.round(value + (to - value) * Math.abs(share));
    return `#${parts.map((value) => channel(value).toString(16).padStart(2, "0")).join("")}`;
  };
  return [0.93, 0.86, 0.72, 0.55, 0.36, 0.18, 0, -0.14, -0.28, -0.4].map(mix) as unknown as MantineColorsTuple;
}
