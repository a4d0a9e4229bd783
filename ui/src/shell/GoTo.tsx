/** A box that takes an id and goes to what it names. */
import { Kbd, TextInput } from "@mantine/core";
import { useHotkeys } from "@mantine/hooks";
import { IconSearch } from "@tabler/icons-react";
import { useNavigate, useParams } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { useSession } from "../api/session";
import { submitted } from "../components/submitted";

export function GoTo() {
  const input = useRef<HTMLInputElement>(null);
  const [error, setError] = useState(false);
  const params = useParams({ strict: false });
  const appId = useSession()?.appId ?? params.appId;
  const navigate = useNavigate();
  useHotkeys([["mod+K", () => input.current?.focus()], ["/", () => input.current?.focus()]]);

  const go = (form: FormData) => {
    const id = String(form.get("id") ?? "").trim();
    if (id.startsWith("app_")) void navigate({ to: "/app/$appId", params: { appId: id } });
    else if (id.startsWith("src_")) void navigate({ to: "/source/$sourceId", params: { sourceId: id } });
    else if (id.startsWith("msg_") && appId) void navigate({ to: "/app/$appId/msg/$msgId", params: { appId, msgId: id } });
    else if (id.startsWith("ep_") && appId) {
      void navigate({ to: "/app/$appId/endpoint/$endpointId", params: { appId, endpointId: id } });
    } else return setError(id !== "");
    input.current!.value = "";
    input.current!.blur();
  };
  const kinds = appId ? "app_, ep_, msg_ or src_" : "app_ or src_";
  return (
    <form onSubmit={submitted(go)} role="search" className="hw-goto">
      <TextInput
        ref={input}
        name="id"
        size="sm"
        aria-label={`Go to an id: ${kinds}`}
        placeholder={`Go to ${kinds}…`}
        leftSection={<IconSearch size={16} />}
        rightSection={<Kbd size="xs" visibleFrom="md">/</Kbd>}
        error={error && (appId ? `Not an id: it begins with ${kinds}` : "Open an application first for its ep_ and msg_ ids")}
        onChange={() => setError(false)}
        spellCheck={false}
        autoComplete="off"
      />
    </form>
  );
}
