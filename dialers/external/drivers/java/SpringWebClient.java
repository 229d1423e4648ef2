package kabench;

import java.net.URI;
import org.springframework.core.io.buffer.DataBuffer;
import org.springframework.core.io.buffer.DataBufferUtils;
import org.springframework.http.HttpMethod;
import org.springframework.http.client.reactive.ReactorClientHttpConnector;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.core.publisher.Mono;
import reactor.netty.resources.ConnectionProvider;

/** Spring's WebClient over Reactor Netty, as WebClient.create() makes it. */
final class SpringWebClient implements Kit.Client {
    private final ReactorPool pool;
    private final WebClient client;

    public static void main(String[] args) throws Exception {
        int most = Math.max(500, ConnectionProvider.DEFAULT_POOL_MAX_CONNECTIONS);
        ReactorPool.describe(Kit.driver("spring-webclient", "Spring WebClient", Kit.versionOf(WebClient.class)), most, 2 * most)
                .run(SpringWebClient::new);
    }

    SpringWebClient(Config config) throws Exception {
        pool = new ReactorPool(config);
        // compress(true) is what ReactorClientHttpConnector() does for its own client.
        client = WebClient.builder().clientConnector(new ReactorClientHttpConnector(pool.client.compress(true))).build();
    }

    @Override
    public void call(Call call) {
        WebClient.RequestBodySpec request = client.method(HttpMethod.valueOf(call.method)).uri(URI.create(call.url));
        for (String[] h : call.headers) {
            request.header(h[0], h[1]);
        }
        if (call.size > 0) {
            request.bodyValue(call.body());
        }
        Mono<Void> exchange = request.exchangeToMono(response -> {
            call.status(response.statusCode().value());
            return response.bodyToFlux(DataBuffer.class).doOnNext(part -> {
                call.read(part.readableByteCount());
                DataBufferUtils.release(part);
            }).then();
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
