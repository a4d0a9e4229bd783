import { Button, Group, Text } from "@mantine/core";
import { IconDownload } from "@tabler/icons-react";
import { useMemo, useState } from "react";
import { pretty } from "../api/json";
import { bytes } from "../format";
import { CopyButton } from "./CopyButton";
import { visible } from "./SafeText";

/** More than this is shown on demand: a page with megabytes of text is slow. */
const AT_ONCE = 64 * 1024;

interface Props {
  text: string;
  /** What it is, for who cannot see it. */
  label: string;
  /** The name of the file to download. */
  file?: string;
  /** Every blank of it counts: JSON is not indented. */
  verbatim?: boolean;
}

/** A body, as text and nothing else. */
export function Payload({ text, label, file = "payload.json", verbatim = false }: Props) {
  const [all, setAll] = useState(false);
  const shown = useMemo(() => {
    const whole = text.length <= AT_ONCE || all;
    return visible(!whole ? text.slice(0, AT_ONCE) : verbatim ? text : pretty(text));
  }, [text, all, verbatim]);
  const cut = text.length > AT_ONCE && !all;
  return (
    <div className="hw-payload">
      <pre tabIndex={0} aria-label={label} dir="ltr">{shown}</pre>
      <Group justify="space-between" gap="xs" className="hw-payload-bar">
        <Text size="xs" c="dimmed">
          {cut ? `The first ${bytes(AT_ONCE)} of ${bytes(text.length)}` : bytes(text.length)}
        </Text>
        <Group gap={4}>
          {cut && <Button size="compact-xs" variant="subtle" onClick={() => setAll(true)}>Show all</Button>}
          <Button size="compact-xs" variant="subtle" leftSection={<IconDownload size={14} />} onClick={() => download(text, file)}>
            Download
          </Button>
          <CopyButton value={text} label={`Copy ${label.toLowerCase()}`} />
        </Group>
      </Group>
    </div>
  );
}

export function download(content: string | Blob, name: string) {
  const url = URL.createObjectURL(new Blob([content], { type: "application/octet-stream" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
