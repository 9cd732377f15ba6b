// A client of the hub that does as it is told: Node and pages share it. `print` gets one fact at a time.
//   orders: connect | subscribe CHANNEL | publish CHANNEL JSON | history CHANNEL | presence CHANNEL | stats CHANNEL | rpc METHOD JSON
//           unsubscribe CHANNEL | disconnect

/**
 * Returns the function that takes an order. `base` is the server's http: URL, `tokens` the back end's URL of this user's tokens, `delta`
 * whether subscriptions ask for differences between publications.
 */
export const client = ({ Centrifuge, base, tokens, transport, protobuf, delta, more, print }) => {
  const paths = { websocket: "/connection/websocket", http_stream: "/connection/http_stream", sse: "/connection/sse" };
  const endpoint = (transport === "websocket" ? base.replace(/^http/, "ws") : base) + paths[transport];
  const encode = (text) => protobuf ? new TextEncoder().encode(text) : JSON.parse(text);
  const decode = (data) => protobuf ? JSON.parse(new TextDecoder().decode(data)) : data;

  const centrifuge = new Centrifuge([{ transport, endpoint }], {
    emulationEndpoint: `${base}/emulation`,
    getToken: async () => { print({ fact: "token" }); return (await fetch(tokens)).text(); },
    minReconnectDelay: 50, maxReconnectDelay: 500,
    ...more,
  });
  centrifuge.on("connecting", ({ code }) => print({ fact: "connecting", code }));
  centrifuge.on("connected", () => print({ fact: "connected" }));
  centrifuge.on("disconnected", ({ code }) => print({ fact: "disconnected", code }));
  const positioned = ({ channel, wasRecovering, recovered }) => ({ channel, wasRecovering, recovered });
  const publication = ({ channel, offset, data, info }) => ({ channel, offset: offset ?? 0, data: decode(data), by: info?.user ?? "" });
  centrifuge.on("subscribed", (context) => print({ fact: "server_subscribed", ...positioned(context) }));
  centrifuge.on("unsubscribed", ({ channel }) => print({ fact: "server_unsubscribed", channel }));
  centrifuge.on("publication", (context) => print({ fact: "server_publication", ...publication(context) }));

  const orders = {
    connect: () => centrifuge.connect(),
    disconnect: () => centrifuge.disconnect(),
    subscribe: (channel) => {
      const subscription = centrifuge.newSubscription(channel, delta ? { delta: "fossil" } : {});
      subscription.on("subscribed", (context) => print({ fact: "subscribed", ...positioned(context) }));
      subscription.on("unsubscribed", ({ code }) => print({ fact: "unsubscribed", channel, code }));
      subscription.on("publication", (context) => print({ fact: "publication", ...publication(context) }));
      subscription.on("join", ({ info }) => print({ fact: "join", channel, user: info.user }));
      subscription.on("leave", ({ info }) => print({ fact: "leave", channel, user: info.user }));
      subscription.subscribe();
    },
    unsubscribe: (channel) => centrifuge.getSubscription(channel).unsubscribe(),
  };
  const questions = {
    publish: async (channel, data) => { await centrifuge.publish(channel, encode(data)); return {}; },
    history: async (channel) => {
      const { publications, offset } = await centrifuge.history(channel, { limit: 100 });
      return { publications: publications.map(({ data }) => decode(data)), offset };
    },
    presence: async (channel) => ({ users: Object.values((await centrifuge.presence(channel)).clients).map(({ user }) => user) }),
    stats: async (channel) => {
      const { numClients, numUsers } = await centrifuge.presenceStats(channel);
      return { clients: numClients, users: numUsers };
    },
    rpc: async (method, data) => ({ data: decode((await centrifuge.rpc(method, encode(data))).data) }),
  };
  return (line) => {
    const [name, first, rest] = line.split(" ", 3);
    if (orders[name]) return orders[name](first);
    const answer = (values) => print({ fact: "answer", to: name, ...values });
    questions[name](first, rest).then((values) => answer({ code: 0, ...values }), ({ code }) => answer({ code }));
  };
};
