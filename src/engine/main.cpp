// deepseek-engine: holds one model and serves one deepseek-server over a Unix socket.
//
// Two threads of its own: this one does the link's I/O, the other loads the model and runs the
// loop. When the server's end of the socket closes, the process ends at once.
#include "base/units.hpp"
#include "engine/engine_link.hpp"
#include "engine/engine_loop.hpp"
#include "engine/engine_options.hpp"
#include "engine/faults.hpp"
#include "engine/llama/context.hpp"
#include "engine/llama/context_plan.hpp"
#include "engine/llama/embedder.hpp"
#include "engine/llama/grammar_source.hpp"
#include "engine/llama/layout_planner.hpp"
#include "engine/llama/log_bridge.hpp"
#include "engine/llama/model.hpp"
#include "engine/llama/model_check.hpp"
#include "engine/llama/model_drafter.hpp"
#include "engine/llama/text.hpp"
#include "engine/llama/vision.hpp"
#include "engine/machine.hpp"

#include <sys/prctl.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <thread>

namespace deepseek::engine {
namespace {

// Everything that one loaded model needs, in the order in which it is made.
struct Machinery {
  std::unique_ptr<llama::LayoutPlanner> layouts;
  std::unique_ptr<llama::Model> model;
  std::unique_ptr<llama::Text> text;
  std::unique_ptr<llama::GrammarSource> grammars;
  std::unique_ptr<llama::Vision> vision;  // null: no images are read
  std::unique_ptr<PictureStore> pictures;
  std::unique_ptr<llama::Context> context;
  std::unique_ptr<FaultyDecoder> faulty;  // in front of it, in tests
  std::unique_ptr<llama::LazyEmbedder> embedder;
  std::unique_ptr<llama::ModelDrafter> drafter;
  std::unique_ptr<EngineLoop> loop;
  std::unique_ptr<PrefixStore> store;  // it posts to the loop, so it ends first
  llama::ContextPlan plan;
  Faults faults;
  bool on_gpu = false;

  Decoder& decoder() { return faulty ? static_cast<Decoder&>(*faulty) : *context; }
};

// What the file itself is to blame for stays so; memory may be free the next time.
void tell_failure(EngineLink& link, const base::Error& error, bool on_gpu) {
  wire::FromEngine message;
  if (on_gpu && error.code != base::ErrorCode::invalid_request) {
    message.mutable_device_failed()->set_message(error.message);
    return link.send(message);
  }
  message.mutable_load_failed()->set_message(error.message);
  message.mutable_load_failed()->set_permanent(error.code == base::ErrorCode::invalid_request);
  link.send(message);
}

void tell_progress(EngineLink& link, float fraction, const char* stage) {
  wire::FromEngine message;
  message.mutable_load_progress()->set_fraction(fraction);
  message.mutable_load_progress()->set_stage(stage);
  link.send(message);
}

wire::FromEngine describe(const EngineOptions& options, const Machinery& machinery) {
  const llama::ModelFacts& facts = machinery.model->facts();
  wire::FromEngine message;
  wire::Description* told = message.mutable_ready();
  told->set_architecture(facts.architecture);
  told->set_file_type(facts.file_type);
  told->set_parameters(facts.parameters);
  told->set_model_bytes(facts.bytes);
  told->set_kv_bytes(machinery.plan.kv_bytes);
  told->set_kv_cells(static_cast<std::uint64_t>(machinery.plan.context.cells));
  told->set_repacked_bytes(facts.repacked_bytes);
  told->set_context_train(facts.context_train);
  told->set_context_max(machinery.plan.context_max);
  told->set_sequences_max(options.sequences_max);
  told->set_embedding_dimensions(facts.embedding_dimensions);
  told->set_vocabulary(facts.vocabulary);
  told->set_has_chat_template(facts.has_chat_template);
  told->set_embeddings(options.embeddings);
  told->set_sees_images(machinery.vision != nullptr);
  for (const std::string& device : facts.devices) told->add_devices(device);
  for (const LayoutReport& layout : facts.layouts) {
    wire::WeightLayout* one = told->add_layouts();
    one->set_format(layout.format);
    one->set_layout(layout.layout);
    one->set_weights(layout.weights);
    one->set_bytes(layout.bytes);
    one->set_speed_one(layout.speed_one);
    one->set_speed_many(layout.speed_many);
  }
  told->set_load_ms(facts.load_ms);
  told->set_queue_max(options.queue_max);
  told->set_on_gpu(machinery.on_gpu);
  for (const auto& [name, file] : options.adapters) told->add_adapters(name);
  return message;
}

// Bytes of the projector's weights; 0 without one.
base::Result<std::uint64_t> load_vision(const EngineOptions& options, EngineLink& link,
                                        Machinery& machinery) {
  if (options.mmproj.empty()) return 0;
  tell_progress(link, 1, "projector");
  const base::Result<std::uint64_t> bytes = llama::check_projector(options.mmproj);
  if (bytes.has_error()) return bytes.error();
  llama::Vision::Options vision;
  vision.path = options.mmproj;
  vision.on_gpu = machinery.on_gpu;
  // Beside the model's own threads, which must not wait long for these.
  vision.threads = std::max(physical_cores() / 2, 1);
  vision.pixels_max = options.image_pixels_max;
  auto loaded = llama::Vision::load(vision, *machinery.model);
  if (loaded.has_error()) return loaded.error();
  machinery.vision = std::move(*loaded);
  machinery.pictures = std::make_unique<PictureStore>(*machinery.vision);
  return *bytes;
}

base::Result<void> load(const EngineOptions& options, EngineLink& link, Machinery& machinery) {
  MemoryLimits memory = memory_limits();  // before the weights take their part
  int told_percent = -1;
  auto model = llama::Model::load({options.model, options.gpu_layers, machinery.layouts.get()},
                                  [&link, &told_percent](float fraction) {
                                    const int percent = static_cast<int>(fraction * 100);
                                    if (percent / 5 != told_percent / 5 || told_percent < 0) {
                                      tell_progress(link, fraction, "weights");
                                    }
                                    told_percent = percent;
                                    return true;
                                  });
  if (model.has_error()) return model.error();
  machinery.model = std::move(*model);
  machinery.on_gpu =
      (machinery.model->facts().has_gpu || machinery.faults.any()) && options.gpu_layers != 0;
  if (machinery.on_gpu && machinery.faults.gpu_load) {
    return base::make_error(base::ErrorCode::internal, "a fault was asked for");
  }
  auto text = llama::Text::make(*machinery.model);
  if (text.has_error()) return text.error();
  machinery.text = std::move(*text);
  grammar::Compiler::Options grammars;
  grammars.cache_bytes_max = options.grammar_cache_bytes;
  grammars.compile_max = base::Milliseconds(options.grammar_compile_ms);
  machinery.grammars = std::make_unique<llama::GrammarSource>(*machinery.text, grammars);
  for (const auto& [name, file] : options.adapters) {
    const base::Result<void> added = machinery.model->add_adapter(name, file);
    if (added.has_error()) return added.error();
  }
  const base::Result<std::uint64_t> seeing = load_vision(options, link, machinery);
  if (seeing.has_error()) return seeing.error();
  memory.available -= std::min(memory.available, *seeing);
  const auto room = llama::pool_room(*machinery.model, options, memory);
  machinery.plan = llama::plan_context(*machinery.model, options, physical_cores(), room);
  tell_progress(link, 1, "memory");
  auto context = llama::Context::make(*machinery.model, machinery.plan.context);
  if (context.has_error()) return context.error();
  machinery.context = std::move(*context);
  if (machinery.plan.window.on() && !machinery.context->can_slide()) {
    return base::make_error(base::ErrorCode::invalid_request,
                            "engine.attention_window: the positions of this model cannot be moved. "
                            "Set it to 0.");
  }
  if (machinery.on_gpu && machinery.faults.gpu_step) {
    machinery.faulty =
        std::make_unique<FaultyDecoder>(*machinery.context, *machinery.faults.gpu_step);
  }
  if (options.warmup > 0) {
    tell_progress(link, 1, "warmup");
    const base::Result<void> warm = machinery.context->warm_up(options.warmup);
    if (warm.has_error()) return warm.error();
  }
  if (!options.draft_model.empty() && options.draft_max > 0 && machinery.plan.shares_prefixes) {
    auto drafter = llama::ModelDrafter::make(
        {options.draft_model, options.gpu_layers, machinery.layouts.get()}, *machinery.model,
        machinery.plan.context);
    if (drafter.has_error()) return drafter.error();
    machinery.drafter = std::move(*drafter);
  }
  if (options.embeddings) {
    machinery.embedder =
        std::make_unique<llama::LazyEmbedder>(*machinery.model, machinery.plan.context);
  }
  return {};
}

// Without the folder everything works, only slower after a restart.
void open_store(const EngineOptions& options, Machinery& machinery, const base::Logger& log) {
  if (options.cache_dir.empty() || !machinery.plan.shares_prefixes) return;
  PrefixStoreOptions store;
  store.folder = prefix_folder(options);
  store.bytes_max = options.cache_dir_bytes;
  store.model = prefix_model(options);
  auto opened = PrefixStore::open(store, log);
  if (opened.has_error()) {
    return log.warning("prefixes are not stored", {{"why", opened.error().message}});
  }
  machinery.store = std::move(*opened);
  machinery.loop->use_store(*machinery.store);
}

// DEEPSEEK_KERNELS=avx2: for tests.
std::optional<kernels::InstructionSet> forced_kernels(const char* wanted) {
  if (wanted == nullptr) return std::nullopt;
  const auto set = kernels::instruction_set(wanted);
  const auto here = kernels::instruction_sets_of_this_machine();
  if (!set || std::ranges::find(here, *set) == here.end()) return std::nullopt;
  return set;
}

// Without them everything works, only slower.
void make_layouts(const EngineOptions& options, Machinery& machinery, const base::Logger& log) {
  if (options.layout == "as_is") return;
  const std::int32_t threads = options.threads > 0 ? options.threads : physical_cores();
  auto layouts = llama::LayoutPlanner::make({threads, options.layout_file, options.layout_loss,
                                             forced_kernels(std::getenv("DEEPSEEK_KERNELS"))});
  if (layouts.has_error()) {
    return log.warning("weights stay as they are", {{"why", layouts.error().message}});
  }
  machinery.layouts = std::move(*layouts);
}

// "3.4 x"; "not measured" for 0.
std::string times(double ratio) {
  if (ratio <= 0) return "not measured";
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f x", ratio);
  return text.data();
}

void log_layouts(const llama::ModelFacts& facts, const base::Logger& log) {
  for (const LayoutReport& layout : facts.layouts) {
    log.info("layout of weights", {{"format", layout.format},
                                   {"layout", layout.layout},
                                   {"weights", layout.weights},
                                   {"packed", base::format_bytes(layout.bytes)},
                                   {"speed_one", times(layout.speed_one)},
                                   {"speed_many", times(layout.speed_many)}});
  }
}

// The loop's thread: loads, serves until Shutdown, ends the process.
void serve(const EngineOptions& options, EngineLink& link, const base::Logger& log) {
  Machinery machinery;
  machinery.faults = parse_faults(std::getenv("DEEPSEEK_ENGINE_FAULT"));
  make_layouts(options, machinery, log);
  const base::Result<void> loaded = load(options, link, machinery);
  if (loaded.has_error()) {
    log.error("the model was not loaded", {{"error", loaded.error().message}});
    tell_failure(link, loaded.error(), machinery.on_gpu);
    link.finish();
    return;
  }
  EngineLoop::Options loop_options;
  loop_options.scheduler = llama::scheduler_options(options, machinery.plan);
  loop_options.scheduler.draft_model = machinery.drafter != nullptr;
  loop_options.state_bytes_max = machinery.plan.state_bytes;
  loop_options.on_gpu = machinery.on_gpu;
  machinery.loop = std::make_unique<EngineLoop>(
      loop_options, *machinery.text, machinery.decoder(), machinery.embedder.get(),
      [&link](const wire::FromEngine& message) { link.send(message); }, log);
  if (machinery.drafter) machinery.loop->use_drafter(*machinery.drafter);
  open_store(options, machinery, log);
  JobLimits limits;
  limits.context_max = machinery.plan.context_max;
  limits.embedding_max = machinery.plan.context_max;
  for (const auto& [name, file] : options.adapters) limits.adapters.push_back(name);
  link.attach(*machinery.text, *machinery.grammars, *machinery.loop, limits,
              machinery.pictures.get());
  link.send(describe(options, machinery));
  if (machinery.plan.cut_by_memory) {
    log.warning("memory.max_cache_size is more than this machine has left; the pool is smaller",
                {{"wanted", base::format_bytes(options.kv_bytes)},
                 {"taken", base::format_bytes(machinery.plan.kv_bytes)}});
  }
  log_layouts(machinery.model->facts(), log);
  log.info("ready", {{"model", options.model},
                     {"load_ms", machinery.model->facts().load_ms},
                     {"cells", machinery.plan.context.cells},
                     {"context_max", machinery.plan.context_max},
                     {"threads", machinery.plan.context.threads},
                     {"kv_bytes", static_cast<std::uint64_t>(machinery.plan.kv_bytes)},
                     {"repacked_bytes", machinery.model->facts().repacked_bytes},
                     {"resident", base::format_bytes(resident_bytes())}});
  machinery.loop->run();
  link.stop_workers();
  link.finish();
}

int run_engine(const EngineOptions& options, base::LogSink& sink) {
  const base::Logger log(sink, "engine");
  // The server's death must not leave an engine behind, even if it could not close the socket.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::signal(SIGPIPE, SIG_IGN);
  // A signal for the whole terminal is the server's to handle: it lets us finish what runs.
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGTERM, SIG_IGN);
  llama::bridge_log(base::Logger(sink, "llama"));
  llama::load_backends();

  boost::asio::io_context context(1);
  EngineLink link(
      context, options.channel, {},
      [] {
        // Nobody is left to work for, and the loop may be deep inside a step: end here and now.
        std::_Exit(0);
      },
      log);
  link.start();
  std::thread loop_thread(serve, std::cref(options), std::ref(link), log);
  context.run();
  loop_thread.join();
  return 0;
}

int run_check(const EngineOptions& options) {
  const base::Result<std::string> facts = llama::check_model(options, memory_limits());
  if (facts.has_error()) {
    std::fprintf(stderr, "deepseek-engine: %s\n", facts.error().message.c_str());
    return 2;
  }
  std::printf("%s\n", facts->c_str());
  return 0;
}

int run(int argc, char** argv) {
  const std::span<const char* const> arguments(argv + 1, static_cast<std::size_t>(argc - 1));
  const base::Result<EngineOptions> options = parse_engine_options(arguments);
  if (options.has_error()) {
    std::fprintf(stderr, "deepseek-engine: %s\n", options.error().message.c_str());
    return 2;
  }
  if (options->help) {
    std::fputs(engine_help().c_str(), stdout);
    return 0;
  }
  if (options->check) return run_check(*options);
  base::LogSink::Options log_options;
  log_options.format = options->log_format;
  log_options.level = options->log_level;
  base::LogSink sink(log_options);
  const int status = run_engine(*options, sink);
  llama::bridge_log(base::Logger());
  return status;
}

}  // namespace
}  // namespace deepseek::engine

int main(int argc, char** argv) {
  try {
    return deepseek::engine::run(argc, argv);
  } catch (const std::exception& exception) {
    std::fprintf(stderr, "deepseek-engine: %s\n", exception.what());
    return 1;
  }
}
