import { Anchor, Button, Code, Paper, PasswordInput, Stack, Text, Title } from "@mantine/core";
import { useEffect, useState } from "react";
import { isPortal, signIn, useEnded } from "../api/session";
import { Logo } from "../shell/Logo";
import { submitted } from "../components/submitted";

export function SignIn() {
  const ended = useEnded();
  const [error, setError] = useState<string | null>(null);
  useEffect(() => {
    document.title = "Sign in · Hookwright";
  }, []);
  const submit = (form: FormData) => {
    const ok = signIn(String(form.get("token") ?? ""));
    setError(ok ? null : "That is not a token: it has three parts with dots between them.");
  };
  return (
    <main className="hw-sign-in">
      <Stack gap="lg" w="100%" maw={420}>
        {!isPortal && <Logo />}
        <Paper withBorder p="xl" radius="lg" className="hw-lifted">
          <Stack>
            <Title order={1}>{isPortal ? "Your session has ended" : "Sign in"}</Title>
            {ended && <div className="hw-note" role="alert">{ended}</div>}
            {isPortal ? (
              <Text c="dimmed">Go back to where you opened your webhooks, and open them again.</Text>
            ) : (
              <form onSubmit={submitted(submit)}>
                <Stack>
                  <PasswordInput
                    name="token"
                    label="Token of your organization"
                    description="It stays in this tab, and is gone when you close it."
                    placeholder="eyJ…"
                    autoComplete="off"
                    error={error}
                    required
                    data-autofocus
                  />
                  <Button type="submit">Sign in</Button>
                  <Text size="sm" c="dimmed">
                    <Code>hookwright token</Code> makes one. <Code>hookwright dev</Code> prints a link that
                    opens this page signed in.
                  </Text>
                </Stack>
              </form>
            )}
          </Stack>
        </Paper>
        {!isPortal && <Text size="sm" c="dimmed" ta="center"><Anchor href="/docs">API reference</Anchor></Text>}
      </Stack>
    </main>
  );
}
