package kabench;

import io.netty.handler.codec.http.HttpMethod;
import java.time.Duration;
import reactor.netty.http.client.HttpClient;
import reactor.netty.resources.ConnectionProvider;

/** A service over Reactor Netty. Its meters are those of ConnectionProvider.Builder.metrics. */
final class ReactorNettyService {
    public static void main(String[] args) throws Exception {
        Service service = new Service(args);
        ConnectionProvider.Builder pool = ConnectionProvider.builder("service").metrics(true);
        if (service.number("connections") > 0) {
            pool.maxConnections(service.number("connections"));
        }
        if (service.number("idle-ms") > 0) {
            pool.maxIdleTime(Duration.ofMillis(service.number("idle-ms")));
        }
        if (service.text("order", "fifo").equals("lifo")) {
            pool.lifo();
        }
        // Its own second try would hide a race from the service.
        HttpClient client = HttpClient.create(pool.build()).disableRetry(true);
        service.run((method, url, of) -> client.request(HttpMethod.valueOf(method)).uri(url)
                .responseSingle((head, body) -> body.asByteArray().defaultIfEmpty(new byte[0]))
                .subscribe(body -> of.ok(), of::failed));
    }
}
