package kabench;

import io.netty.buffer.Unpooled;
import io.netty.handler.codec.http.HttpMethod;
import java.util.HashSet;
import java.util.Set;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.netty.http.client.HttpClient;
import reactor.netty.resources.ConnectionProvider;

/** Reactor Netty, with the caps of one of the three ways in which its provider is made. */
final class ReactorNetty implements Kit.Client {
    private final ReactorPool pool;

    public static void main(String[] args) throws Exception {
        String way = args.length > 0 ? args[0] : "";
        int most = way.isEmpty() ? Math.max(500, ConnectionProvider.DEFAULT_POOL_MAX_CONNECTIONS) : ConnectionProvider.DEFAULT_POOL_MAX_CONNECTIONS;
        int pending = way.equals("create") ? 500 : 2 * most;
        String name = way.isEmpty() ? "reactor-netty" : "reactor-netty-" + way;
        ReactorPool.describe(Kit.driver(name, "Reactor Netty", Kit.versionOf(HttpClient.class)), most, pending)
                .run(ReactorNetty::new);
    }

    ReactorNetty(Config config) throws Exception {
        pool = new ReactorPool(config);
    }

    @Override
    public void call(Call call) {
        HttpClient.RequestSender request = pool.client.headers(all -> {
            Set<String> seen = new HashSet<>();
            for (String[] h : call.headers) {
                if (seen.add(h[0].toLowerCase())) {
                    all.set(h[0], h[1]); // instead of the client's own
                } else {
                    all.add(h[0], h[1]);
                }
            }
        }).request(HttpMethod.valueOf(call.method)).uri(call.url);
        HttpClient.ResponseReceiver<?> response = request;
        if (call.size > 0) {
            response = request.send(Mono.fromSupplier(() -> Unpooled.wrappedBuffer(call.body())));
        }
        Flux<Void> exchange = response.response((head, body) -> {
            call.status(head.status().code());
            return body.doOnNext(part -> call.read(part.readableBytes())).thenMany(Flux.empty());
        });
        call.begin();
        call.onTimeout(exchange.subscribe(nothing -> {}, call::failed, call::done)::dispose);
    }

    @Override
    public long[] gauges() {
        return pool.gauges();
    }

    @Override
    public void close() {
        pool.close();
    }
}
