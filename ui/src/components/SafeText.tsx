/** Text from elsewhere, in which nothing can hide: controls and direction marks become visible. */
import { useMemo } from "react";

/** Controls but tab and newline; marks that reorder text, have no width, or are not to be displayed. */
const HIDDEN =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;

export function visible(text: string): string {
  return text.replace(HIDDEN, (char) => {
    const code = char.codePointAt(0)!;
    return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

export function SafeText({ children }: { children: string }) {
  const text = useMemo(() => visible(children), [children]);
  return <bdi>{text}</bdi>;
}
