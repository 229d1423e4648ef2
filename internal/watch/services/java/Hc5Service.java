package kabench;

import io.micrometer.core.instrument.Metrics;
import io.micrometer.core.instrument.binder.httpcomponents.hc5.PoolingHttpClientConnectionManagerMetricsBinder;
import java.io.IOException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.apache.hc.client5.http.classic.methods.HttpUriRequestBase;
import org.apache.hc.client5.http.config.ConnectionConfig;
import org.apache.hc.client5.http.impl.classic.CloseableHttpClient;
import org.apache.hc.client5.http.impl.classic.HttpClients;
import org.apache.hc.client5.http.impl.io.PoolingHttpClientConnectionManager;
import org.apache.hc.client5.http.impl.io.PoolingHttpClientConnectionManagerBuilder;
import org.apache.hc.core5.http.io.entity.EntityUtils;
import org.apache.hc.core5.util.TimeValue;

/** A service over Apache HttpClient 5, with Micrometer's meters of its pool. */
final class Hc5Service {
    public static void main(String[] args) throws Exception {
        Service service = new Service(args);
        int most = service.number("connections") > 0 ? service.number("connections") : 50;
        PoolingHttpClientConnectionManager pool = PoolingHttpClientConnectionManagerBuilder.create()
                .setMaxConnPerRoute(most).setMaxConnTotal(most)
                // It looks at an idle connection before it uses it; a service that trusts the pool does not.
                .setDefaultConnectionConfig(ConnectionConfig.custom().setValidateAfterInactivity(TimeValue.NEG_ONE_MILLISECOND).build())
                .build();
        new PoolingHttpClientConnectionManagerMetricsBinder(pool, "service").bindTo(Metrics.globalRegistry);
        var builder = HttpClients.custom().setConnectionManager(pool).disableAutomaticRetries();
        if (service.number("idle-ms") > 0) {
            builder.setKeepAliveStrategy((response, context) -> TimeValue.ofMilliseconds(service.number("idle-ms")));
        }
        CloseableHttpClient client = builder.build();
        ExecutorService callers = Executors.newCachedThreadPool();
        service.run((method, url, of) -> callers.execute(() -> {
            try {
                client.execute(new HttpUriRequestBase(method, java.net.URI.create(url)), response -> {
                    EntityUtils.consume(response.getEntity());
                    return null;
                });
                of.ok();
            } catch (IOException error) {
                of.failed(error);
            }
        }));
    }
}
