import { createTheme, type CSSVariablesResolver, type MantineColorsTuple } from "@mantine/core";

const indigo: MantineColorsTuple = [
  "#eef2ff", "#e0e7ff", "#c7d2fe", "#a5b4fc", "#818cf8",
  "#6366f1", "#4f46e5", "#4338ca", "#3730a3", "#312e81",
];

/** Neutral greys with a little blue, from light to dark. */
const dark: MantineColorsTuple = [
  "#e6e8ee", "#b4b9c6", "#9aa1b2", "#6b7283", "#3a3f4d",
  "#2a2e3a", "#20232d", "#171a22", "#11131a", "#0b0d12",
];

export const theme = createTheme({
  primaryColor: "indigo",
  primaryShade: 6,
  autoContrast: true,
  colors: { indigo, dark },
  defaultRadius: "md",
  fontFamily: 'Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif',
  fontFamilyMonospace: 'ui-monospace, "SF Mono", "Cascadia Code", Menlo, Consolas, "DejaVu Sans Mono", monospace',
  fontSizes: { xs: "12px", sm: "13.5px", md: "15px", lg: "17px", xl: "20px" },
  components: {
    Modal: { defaultProps: { closeButtonProps: { "aria-label": "Close" } } },
    Notification: { defaultProps: { closeButtonProps: { "aria-label": "Close" } } },
  },
  headings: { fontWeight: "620", sizes: { h1: { fontSize: "22px" }, h2: { fontSize: "16px" }, h3: { fontSize: "14px" } } },
});

/** Secondary text is readable on every background that we use. */
export const variables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--mantine-color-dimmed": "#5b6372",
    "--mantine-color-placeholder": "#6b7280",
    "--mantine-color-text": "#171a22",
    "--mantine-color-body": "#ffffff",
    "--mantine-color-default-border": "#e3e6ec",
    "--mantine-color-error": "#b91c1c",
    "--hw-canvas": "#f7f8fa",
    "--hw-surface": "#ffffff",
    "--hw-hover": "#f3f4f8",
    "--hw-good": "#0b6a42",
    "--hw-bad": "#b42318",
    "--hw-warn": "#8f5a00",
    "--hw-info": "#3f46c9",
    "--hw-quiet": "#545c6b",
  },
  dark: {
    "--mantine-color-dimmed": "#a2a9b9",
    "--mantine-color-placeholder": "#8d95a6",
    "--mantine-color-text": "#e6e8ee",
    "--mantine-color-body": "#11131a",
    "--mantine-color-default": "#171a22",
    "--mantine-color-default-border": "#2a2e3a",
    "--mantine-color-error": "#f97066",
    "--hw-canvas": "#0b0d12",
    "--hw-surface": "#11131a",
    "--hw-hover": "#191c25",
    "--hw-good": "#4ade9f",
    "--hw-bad": "#ff8a80",
    "--hw-warn": "#f5c26b",
    "--hw-info": "#a5b4fc",
    "--hw-quiet": "#a2a9b9",
  },
});
