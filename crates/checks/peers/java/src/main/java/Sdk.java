import io.github.centrifugal.centrifuge.*;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.stream.Collectors;

/**
 * The SDK centrifuge-java, which speaks Protobuf alone: takes orders on standard input (sdk_orders.mjs has them), prints one line of JSON
 * per fact.
 *
 * <p>java -cp CLASSES Sdk http://HOST:PORT TOKENS
 */
public final class Sdk {
    private static synchronized void tell(String fact, String more) {
        System.out.println("{\"fact\":\"" + fact + "\"" + more + "}");
    }

    private static String text(String name, String value) {
        return ",\"" + name + "\":\"" + value + "\"";
    }

    /** A number, a boolean, or what is JSON already. */
    private static String plain(String name, Object value) {
        return ",\"" + name + "\":" + value;
    }

    private static String json(byte[] data) {
        return new String(data, StandardCharsets.UTF_8);
    }

    private static String publication(String channel, long offset, byte[] data, ClientInfo info) {
        return text("channel", channel) + plain("offset", offset) + plain("data", json(data)) + text("by", info == null ? "" : info.getUser());
    }

    private static final class Connection extends EventListener {
        @Override
        public void onConnecting(Client client, ConnectingEvent event) {
            tell("connecting", plain("code", event.getCode()));
        }

        @Override
        public void onConnected(Client client, ConnectedEvent event) {
            tell("connected", "");
        }

        @Override
        public void onDisconnected(Client client, DisconnectedEvent event) {
            tell("disconnected", plain("code", event.getCode()));
        }

        @Override
        public void onSubscribed(Client client, ServerSubscribedEvent event) {
            tell("server_subscribed", text("channel", event.getChannel()) + plain("wasRecovering", event.wasRecovering())
                    + plain("recovered", event.getRecovered()));
        }

        @Override
        public void onUnsubscribed(Client client, ServerUnsubscribedEvent event) {
            tell("server_unsubscribed", text("channel", event.getChannel()));
        }

        @Override
        public void onPublication(Client client, ServerPublicationEvent event) {
            tell("server_publication", publication(event.getChannel(), event.getOffset(), event.getData(), event.getInfo()));
        }
    }

    private static final class Subscribed extends SubscriptionEventListener {
        @Override
        public void onSubscribed(Subscription subscription, SubscribedEvent event) {
            tell("subscribed", text("channel", subscription.getChannel()) + plain("wasRecovering", event.wasRecovering())
                    + plain("recovered", event.getRecovered()));
        }

        @Override
        public void onUnsubscribed(Subscription subscription, UnsubscribedEvent event) {
            tell("unsubscribed", text("channel", subscription.getChannel()) + plain("code", event.getCode()));
        }

        @Override
        public void onPublication(Subscription subscription, PublicationEvent event) {
            tell("publication", publication(subscription.getChannel(), event.getOffset(), event.getData(), event.getInfo()));
        }

        @Override
        public void onJoin(Subscription subscription, JoinEvent event) {
            tell("join", text("channel", subscription.getChannel()) + text("user", event.getInfo().getUser()));
        }

        @Override
        public void onLeave(Subscription subscription, LeaveEvent event) {
            tell("leave", text("channel", subscription.getChannel()) + text("user", event.getInfo().getUser()));
        }
    }

    private static final class Tokens extends ConnectionTokenGetter {
        private final HttpRequest request;

        Tokens(String url) {
            request = HttpRequest.newBuilder(URI.create(url)).build();
        }

        @Override
        public void getConnectionToken(ConnectionTokenEvent event, TokenCallback callback) {
            tell("token", "");
            HttpClient.newHttpClient().sendAsync(request, HttpResponse.BodyHandlers.ofString())
                    .whenComplete((response, error) -> callback.Done(error, error == null ? response.body() : ""));
        }
    }

    /** Prints the answer, which {@code values} makes of a result. */
    private static <T> ResultCallback<T> answer(String name, java.util.function.Function<T, String> values) {
        return (error, result) -> {
            String to = text("to", name);
            if (error == null) {
                tell("answer", to + plain("code", 0) + values.apply(result));
            } else if (error instanceof ReplyError refused) {
                tell("answer", to + plain("code", refused.getCode()));
            } else {
                tell("answer", to + plain("code", -1) + text("error", error.getClass().getName()));
            }
        };
    }

    private static void obey(Client client, String line) throws DuplicateSubscriptionException {
        String[] words = line.split(" ", 3);
        String first = words.length > 1 ? words[1] : "";
        byte[] data = words.length > 2 ? words[2].getBytes(StandardCharsets.UTF_8) : new byte[0];
        switch (words[0]) {
            case "connect" -> client.connect();
            case "disconnect" -> client.disconnect();
            case "subscribe" -> client.newSubscription(first, new Subscribed()).subscribe();
            case "unsubscribe" -> client.getSubscription(first).unsubscribe();
            case "publish" -> client.publish(first, data, answer("publish", result -> ""));
            case "history" -> client.history(first, new HistoryOptions.Builder().withLimit(100).build(), answer("history", result ->
                    plain("offset", result.getOffset()) + plain("publications", result.getPublications().stream()
                            .map(publication -> json(publication.getData())).collect(Collectors.joining(",", "[", "]")))));
            case "presence" -> client.presence(first, answer("presence", result ->
                    plain("users", result.getClients().values().stream()
                            .map(info -> '"' + info.getUser() + '"').sorted().collect(Collectors.joining(",", "[", "]")))));
            case "stats" -> client.presenceStats(first, answer("stats", result ->
                    plain("clients", result.getNumClients()) + plain("users", result.getNumUsers())));
            case "rpc" -> client.rpc(first, data, answer("rpc", result -> plain("data", json(result.getData()))));
            default -> throw new IllegalArgumentException(line);
        }
    }

    public static void main(String[] arguments) throws Exception {
        Options options = new Options();
        options.setTokenGetter(new Tokens(arguments[1]));
        options.setMinReconnectDelay(50);
        options.setMaxReconnectDelay(500);
        String url = arguments[0].replaceFirst("http", "ws") + "/connection/websocket";
        Client client = new Client(url, options, new Connection());
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = orders.readLine(); line != null; line = orders.readLine()) {
            obey(client, line);
        }
        System.exit(0);
    }
}
