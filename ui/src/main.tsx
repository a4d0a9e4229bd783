import "@mantine/core/styles.css";
import "@mantine/notifications/styles.css";
import "./styles.css";
import { MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { setNonce } from "get-nonce";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { ApiError } from "./api/client";
import { start, useSession } from "./api/session";
import { SignIn } from "./pages/SignIn";
import { portalLook } from "./portal";
import { router } from "./router";
import { theme, variables } from "./theme";

// What libraries make of styles at run time passes the page's policy by this.
const nonce = document.querySelector<HTMLMetaElement>("meta[property=csp-nonce]")?.nonce ?? "";
setNonce(nonce);
start();

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 2_000,
      // What the server refused, it refuses again.
      retry: (count, error) => count < 2 && !(error instanceof ApiError && error.status > 0 && error.status < 500),
    },
  },
});

function App() {
  const session = useSession();
  return session ? (
    <QueryClientProvider client={queries} key={session.token}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  ) : (
    <SignIn />
  );
}

const look = portalLook();

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <MantineProvider
      theme={look?.theme ?? theme}
      cssVariablesResolver={variables}
      getStyleNonce={() => nonce}
      defaultColorScheme="auto"
      {...(look?.scheme && { forceColorScheme: look.scheme })}
    >
      <Notifications position="bottom-right" />
      <App />
    </MantineProvider>
  </StrictMode>,
);
