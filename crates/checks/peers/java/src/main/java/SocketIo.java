import io.socket.client.Ack;
import io.socket.client.IO;
import io.socket.client.Socket;
import java.net.URI;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import org.json.JSONObject;

/**
 * The client socket.io-client-java at the hub: prints one line of JSON per fact.
 *
 * <p>java -cp CLASSES SocketIo http://HOST:PORT polling|websocket|upgrade
 */
public final class SocketIo {
    private static final BlockingQueue<Object[]> events = new ArrayBlockingQueue<>(100);

    private static void tell(String fact, String name, Object value) throws Exception {
        System.out.println(new JSONObject().put("fact", fact).put(name, value));
    }

    private static Object[] next(BlockingQueue<Object[]> queue) throws Exception {
        Object[] found = queue.poll(60, TimeUnit.SECONDS);
        if (found == null) throw new IllegalStateException("nothing came");
        return found;
    }

    private static JSONObject ask(Socket socket, String event, Object... arguments) throws Exception {
        BlockingQueue<Object[]> answer = new ArrayBlockingQueue<>(1);
        socket.emit(event, arguments, (Ack) answer::add);
        return (JSONObject) next(answer)[0];
    }

    public static void main(String[] args) throws Exception {
        String[] transports = args[1].equals("upgrade") ? new String[] {"polling", "websocket"} : new String[] {args[1]};
        IO.Options options = IO.Options.builder().setTransports(transports).setAuth(Map.of("name", "java")).setReconnection(false).build();
        Socket socket = IO.socket(URI.create(args[0]), options);
        BlockingQueue<Object[]> connected = new ArrayBlockingQueue<>(1);
        socket.once("connected", connected::add);
        socket.on("publication", events::add);
        socket.connect();
        tell("connected", "client", ((JSONObject) next(connected)[0]).has("client"));
        tell("subscribed", "offset", ask(socket, "subscribe", "java").getInt("offset"));
        tell("published", "answer", ask(socket, "publish", "java", new JSONObject().put("text", "Gr\u00fc\u00dfe")));
        tell("data", "text", ((JSONObject) next(events)[1]).getString("text"));
        byte[] bytes = {0, 1, -2, -1};
        ask(socket, "publish", "java", bytes);
        tell("bytes", "same", Arrays.equals(bytes, (byte[]) next(events)[1]));
        tell("refused", "code", ask(socket, "subscribe", "nowhere:news").getJSONObject("error").getInt("code"));
        // A refusal of a namespace is an object, or this client fails.
        BlockingQueue<Object[]> refused = new ArrayBlockingQueue<>(1);
        Socket unknown = IO.socket(URI.create(args[0] + "/unknown"), options);
        unknown.once(Socket.EVENT_CONNECT_ERROR, refused::add);
        unknown.connect();
        tell("unknown", "message", ((JSONObject) next(refused)[0]).getString("message"));
        System.exit(0);
    }
}
