import { Button, Group, Modal, Stack, Text, type ButtonProps } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useState, type ReactNode } from "react";
import { failed } from "./notify";

interface Props {
  /** On the button, and on the one that confirms. */
  action: string;
  title: string;
  /** What will happen. */
  children: ReactNode;
  run: () => Promise<unknown>;
  danger?: boolean;
  button?: ButtonProps;
  icon?: ReactNode;
}

/** A button whose act is confirmed first. */
export function Confirm({ action, title, children, run, danger, button, icon }: Props) {
  const [opened, { open, close }] = useDisclosure();
  const [busy, setBusy] = useState(false);
  const confirm = async () => {
    setBusy(true);
    try {
      await run();
      close();
    } catch (error) {
      failed(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <Button variant="default" size="xs" leftSection={icon} {...(danger && { c: "var(--hw-bad)" })} {...button} onClick={open}>{action}</Button>
      <Modal opened={opened} onClose={close} title={title} centered>
        <Stack>
          <Text component="div" size="sm">{children}</Text>
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={close}>Back</Button>
            <Button {...(danger && { color: "red.8" })} loading={busy} onClick={() => void confirm()} data-autofocus>{action}</Button>
          </Group>
        </Stack>
      </Modal>
    </>
  );
}
