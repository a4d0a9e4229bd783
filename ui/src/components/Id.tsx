import { Group } from "@mantine/core";
import { CopyButton } from "./CopyButton";

/** An id, to read and to copy. */
export function Id({ id, label = "Copy id" }: { id: string; label?: string }) {
  return (
    <Group gap={2} wrap="nowrap" component="span" display="inline-flex" maw="100%">
      <code className="hw-id">{id}</code>
      <CopyButton value={id} label={label} />
    </Group>
  );
}
