// A React hook and a component that uses it. The package itself doesn't depend on React.
import { useEffect, useRef, useState } from "react";
import { type Options, ReconnectingSocket, type State } from "sockeye-client";

/**
 * Keeps a connection to `url` while the component is mounted, and renders the component when the state changes.
 * `options` are read when `url` changes; `onMessage` may be a new function at each rendering.
 */
export function useReconnectingSocket(
  url: string,
  onMessage: (event: MessageEvent) => void,
  options?: Options,
): { readonly socket: ReconnectingSocket | undefined; readonly state: State | undefined } {
  const latestOnMessage = useRef(onMessage);
  const latestOptions = useRef(options);
  const [socket, setSocket] = useState<ReconnectingSocket>();
  const [state, setState] = useState<State>();

  useEffect(() => {
    latestOnMessage.current = onMessage;
    latestOptions.current = options;
  });

  // Effects run in browsers only, so rendering on a server makes no connection.
  useEffect(() => {
    const made = new ReconnectingSocket(url, [], { ...latestOptions.current, startClosed: true });
    made.onmessage = (event) => latestOnMessage.current(event);
    made.onstate = (event) => setState(event.state);
    setSocket(made);
    made.connect();
    return () => {
      made.onmessage = null;
      made.onstate = null;
      made.close();
    };
  }, [url]);

  return { socket, state };
}

/** Shows what the server sends, and the state of the connection. */
export function Feed({ url }: { readonly url: string }) {
  const [lines, setLines] = useState<readonly string[]>([]);
  const { socket, state } = useReconnectingSocket(
    url,
    ({ data }) => setLines((before) => [...before.slice(-99), String(data)]),
    { maxRetries: 10 },
  );
  return (
    <section>
      <p role="status">{state?.name ?? "connecting"}</p>
      {state?.stopReason === "maxRetries" && (
        <button type="button" onClick={() => socket?.connect()}>
          Connect again
        </button>
      )}
      <pre>{lines.join("\n")}</pre>
    </section>
  );
}
