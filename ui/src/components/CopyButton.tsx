import { ActionIcon, Button, CopyButton as Copy, Tooltip } from "@mantine/core";
import { IconCheck, IconCopy } from "@tabler/icons-react";

/** Copies `value`; with `text` it is a button that says so. */
export function CopyButton({ value, label, text }: { value: string; label: string; text?: string }) {
  return (
    <Copy value={value}>
      {({ copied, copy }) => {
        const icon = copied ? <IconCheck size={15} /> : <IconCopy size={15} />;
        if (text) {
          return <Button variant="default" size="xs" leftSection={icon} onClick={copy}>{copied ? "Copied" : text}</Button>;
        }
        return (
          <Tooltip label={copied ? "Copied" : label}>
            <ActionIcon variant="subtle" color="gray" size="sm" aria-label={label} onClick={copy}>{icon}</ActionIcon>
          </Tooltip>
        );
      }}
    </Copy>
  );
}
