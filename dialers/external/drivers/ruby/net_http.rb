# Ruby's Net::HTTP as services keep connections with it: an object is not for several threads at a time, so each of a few
# threads has its own, started once and used for one request after another. A request that comes while all are busy waits
# in the service's own queue, as in those of Puma and Sidekiq, and the thread that has waited longest takes it. The wait is
# after "called": the queue is a part of the client here.

require "net/http"
require "openssl"
require "uri"
require_relative "kit"

class NetHTTP
  attr_reader :name, :client, :version, :order

  def initialize
    @name, @client, @version, @order = "net-http", "Net::HTTP", Net::HTTP::VERSION, :first
    @lanes = Queue.new
    @opened = []
    @lock = Mutex.new # holds @opened
  end

  def settings
    [
      Kit.setting("threads", "count", 1, pool: "max_conns", off: false, least: 1), # the service's, not the client's
      Kit.setting("keep_alive_timeout", "duration", 2000, pool: "idle_timeout"),
      Kit.setting("open_timeout", "duration", 60_000, pool: "connect_timeout", least: 1),
      Kit.setting("read_timeout", "duration", 60_000, pool: "response_timeout", least: 1),
      Kit.setting("write_timeout", "duration", 60_000, least: 1),
      Kit.setting("max_retries", "count", 1, off: false)
    ]
  end

  def open(settings, insecure)
    threads = settings["threads"] || 1
    @settings, @insecure = settings.except("threads"), insecure
    lanes = Queue.new
    threads.times { lanes << {} }
    @lanes = lanes
  end

  def send_request(method, url, headers, body)
    uri = URI(url)
    lanes = @lanes
    objects = lanes.pop
    begin
      http = objects[[uri.scheme, uri.hostname, uri.port]] ||= make(uri)
      http.start unless http.started?
      response = http.request(Kit.request(method, uri, headers, body))
      [response.code.to_i, response.body.to_s.bytesize]
    ensure
      lanes << objects
    end
  end

  def close
    opened = @lock.synchronize { @opened.slice!(0..) }
    opened.each do |http|
      http.finish if http.started?
    rescue IOError
      next # its thread has just closed it
    end
  end

  private

  def make(uri)
    http = Net::HTTP.new(uri.hostname, uri.port, nil) # nil: no proxy from the environment
    if uri.scheme == "https"
      http.use_ssl = true
      http.verify_mode = OpenSSL::SSL::VERIFY_NONE if @insecure
    end
    @settings.each do |name, value|
      value = Kit.seconds(value) || (name == "keep_alive_timeout" ? Kit::LONGEST : nil) unless name == "max_retries"
      http.public_send("#{name}=", value)
    end
    @lock.synchronize { @opened << http }
    http
  end
end

Kit::Runner.new(NetHTTP.new).run
