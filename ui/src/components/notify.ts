import { notifications } from "@mantine/notifications";

export function done(message: string) {
  notifications.show({ message, color: "teal" });
}

export function failed(error: unknown) {
  const message = error instanceof Error ? error.message : String(error);
  notifications.show({ title: "That did not work", message, color: "red", autoClose: 10_000 });
}
