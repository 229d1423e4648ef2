package kabench;

import io.micrometer.core.instrument.Metrics;
import io.micrometer.core.instrument.binder.okhttp3.OkHttpConnectionPoolMetrics;
import java.io.IOException;
import java.util.concurrent.TimeUnit;
import okhttp3.Call;
import okhttp3.Callback;
import okhttp3.ConnectionPool;
import okhttp3.Dispatcher;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.RequestBody;
import okhttp3.Response;

/** A service over OkHttp, with Micrometer's meters of its pool. */
final class OkHttpService {
    public static void main(String[] args) throws Exception {
        Service service = new Service(args);
        int kept = service.number("connections") > 0 ? service.number("connections") : 5; // OkHttp's own default
        int idle = service.number("idle-ms") > 0 ? service.number("idle-ms") : 300_000;
        ConnectionPool pool = new ConnectionPool(kept, idle, TimeUnit.MILLISECONDS);
        new OkHttpConnectionPoolMetrics(pool).bindTo(Metrics.globalRegistry);
        Dispatcher dispatcher = new Dispatcher();
        dispatcher.setMaxRequestsPerHost(64);
        // Its own second try would hide a race from the service.
        OkHttpClient client = new OkHttpClient.Builder().connectionPool(pool).dispatcher(dispatcher).retryOnConnectionFailure(false).build();
        service.run((method, url, of) -> {
            RequestBody body = method.equals("POST") ? RequestBody.create(new byte[0]) : null;
            client.newCall(new Request.Builder().url(url).method(method, body).build()).enqueue(new Callback() {
                @Override
                public void onFailure(Call call, IOException error) {
                    of.failed(error);
                }

                @Override
                public void onResponse(Call call, Response response) {
                    try (response) {
                        response.body().bytes();
                        of.ok();
                    } catch (IOException error) {
                        of.failed(error);
                    }
                }
            });
        });
    }
}
